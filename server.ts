/**
 * The server: hands out ids over UDP, from one worker process per CPU.
 *
 *     deno task serve --help
 *
 * Without a checkout, with the permissions it needs and the flags it takes:
 *
 *     deno run --unstable-net --allow-ffi --allow-net --allow-run=taskset,deno --allow-env --allow-sys=cpus,uid \
 *       --allow-read=$HOME/.global-id --allow-write=$HOME/.global-id jsr:@global-id/global-id/server
 *
 * `deno install --global --name global-id` in place of `deno run` makes a command of it.
 *
 * @module
 */
import { runServeCommand } from "./lib/cli/serve_command.ts";
import { runWorker } from "./lib/server/worker.ts";

if (import.meta.main) {
  if (Deno.args[0] === "worker") await runWorker(Deno.args[1]);
  else Deno.exit(await runServeCommand(Deno.args, import.meta.url));
}
