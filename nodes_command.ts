/**
 * A command that shows who holds which node in a store of reservations, and frees a node whose holder is gone.
 *
 *     deno task nodes --store etcd://etcd-1,etcd-2,etcd-3/global-id
 *     deno task nodes --store etcd://etcd-1,etcd-2,etcd-3/global-id --free 7
 *
 * Without a checkout:
 *
 *     deno run --allow-net --allow-read --allow-write --allow-env --allow-sys=uid \
 *       jsr:@global-id/global-id/nodes-command --help
 *
 * @module
 */
import { runNodesCommand } from "./lib/cli/nodes_command.ts";

if (import.meta.main) Deno.exit(await runNodesCommand(Deno.args));
