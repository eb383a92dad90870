/**
 * A command that prints ids from a running server, or what an id is made of.
 *
 *     deno task id --count 3
 *     deno task id --inspect 00029210240083821568
 *
 * Without a checkout:
 *
 *     deno run --unstable-net --allow-net --allow-read --allow-sys=uid jsr:@global-id/global-id/id-command
 *
 * @module
 */
import { runIdCommand } from "./lib/cli/id_command.ts";

if (import.meta.main) Deno.exit(await runIdCommand(Deno.args));
