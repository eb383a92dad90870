/**
 * A command that prints ids from a running server, or what an id is made of.
 *
 *     deno task id --count 3
 *     deno task id --inspect 00029210240083821568
 *
 * Without a checkout:
 *
 *     deno run --unstable-net --allow-net jsr:@global-id/global-id/id
 *
 * @module
 */
import { GlobalIdError, IdClient } from "./lib/client/mod.ts";
import { ID_HELP, inspectId, parseIdArgs } from "./lib/client/id_command.ts";
import { explainKeyFileError, readKeyFile } from "./lib/access/key_file.ts";
import { UsageError } from "./lib/flags/flags.ts";
import { LAYOUTS } from "./lib/id/presets.ts";
import { formatId } from "./lib/id/text.ts";

/** How many ids are asked for and printed at a time. */
const CHUNK = 10_000;

/**
 * Runs the command.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0 if it did what was asked, 1 if the server gave no ids, 2 if the command line was wrong.
 */
export async function main(args: string[]): Promise<number> {
  try {
    const command = parseIdArgs(args);
    if (command.kind === "help") {
      console.log(ID_HELP);
    } else if (command.kind === "inspect") {
      console.log(inspectId(command.id, LAYOUTS[command.layout]));
    } else {
      const key = command.keyFile === undefined ? {} : { key: await readKey(command.keyFile) };
      using client = new IdClient({ hostname: command.hostname, ports: command.ports, ...key });
      for (let left = command.count; left > 0; left -= CHUNK) {
        const ids = await client.nextIds(Math.min(left, CHUNK));
        console.log(ids.map((id) => formatId(id, command.form)).join("\n"));
      }
    }
    return 0;
  } catch (error) {
    const isUsage = error instanceof UsageError || error instanceof RangeError;
    if (!isUsage && !(error instanceof GlobalIdError)) throw error;
    console.error(`global-id: ${error.message}`);
    return isUsage ? 2 : 1;
  }
}

async function readKey(path: string): Promise<Uint8Array> {
  try {
    return await readKeyFile(path);
  } catch (error) {
    throw new UsageError(explainKeyFileError(error, path));
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
