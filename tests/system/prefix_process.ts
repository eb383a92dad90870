/**
 * Starts a server whose sources get 1 % of a tick's ids, asks it from all 256 networks of a /56, and prints how many
 * ids of a tick these got together at most. Arguments: more flags of the server.
 *
 * To be run where all addresses of fd00:1:2::/48 are this machine's.
 */
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { GreedySource } from "./greedy_source.ts";

const NETWORKS = 256;
const TICKS = 3;

await using server = await ServerProcess.start({
  flags: ["--host", "::1", "--workers", "2", "--source-share", "1", ...Deno.args],
});
const address = { transport: "udp" as const, hostname: "::1", port: server.ports[0] };
const sources = Array.from({ length: NETWORKS }, (_, i) => new GreedySource(`fd00:1:2:3${hex(i)}::1`));
const counts = new Map<number, number>();
while (counts.size < TICKS) {
  for (const source of sources) {
    for (const id of await source.take([address], 2000)) {
      const { tick } = DEFAULT_LAYOUT.unpack(id);
      counts.set(tick, (counts.get(tick) ?? 0) + 1);
    }
  }
}
for (const source of sources) source[Symbol.dispose]();
console.log(Math.max(...counts.values()));

function hex(number: number): string {
  return number.toString(16).padStart(2, "0");
}
