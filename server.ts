/**
 * The server: hands out ids over UDP, from one worker process per CPU.
 *
 *     deno task serve --help
 *
 * Without a checkout, with the permissions it needs and the flags it takes:
 *
 *     deno run --unstable-net --allow-ffi --allow-net --allow-run=taskset,deno --allow-env=HOME,USERPROFILE \
 *       --allow-sys=cpus --allow-read=$HOME/.global-id --allow-write=$HOME/.global-id jsr:@global-id/global-id/server
 *
 * @module
 */
import denoJson from "./deno.json" with { type: "json" };
import { UsageError } from "./lib/flags/flags.ts";
import { parseServeArgs, SERVE_HELP } from "./lib/server/serve_options.ts";
import { ServeError, type ServeLog } from "./lib/server/serve_error.ts";
import { supervise } from "./lib/server/supervisor.ts";
import { runWorker } from "./lib/server/worker.ts";

/**
 * Runs the server until a signal (SIGINT, SIGTERM or SIGHUP) stops it.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0 if it was stopped, 1 if it could not serve, 2 if the command line was wrong.
 */
export async function main(args: string[]): Promise<number> {
  try {
    const command = parseServeArgs(args);
    if (command.kind === "help") {
      console.log(SERVE_HELP);
    } else if (command.kind === "version") {
      console.log(`global-id ${denoJson.version}`);
    } else {
      await supervise(command.options, import.meta.url, stopSignal(), LOG);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof ServeError)) throw error;
    LOG.warn(error.message);
    return error instanceof UsageError ? 2 : 1;
  }
}

const LOG: ServeLog = {
  info: (line) => console.log(`global-id: ${line}`),
  warn: (line) => console.error(`global-id: ${line}`),
};

/** Aborts at the first signal that asks this process to stop. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) Deno.addSignalListener(signal, () => controller.abort());
  return controller.signal;
}

if (import.meta.main) {
  if (Deno.args[0] === "worker") await runWorker(Deno.args[1]);
  else Deno.exit(await main(Deno.args));
}
