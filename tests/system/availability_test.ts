import { assert } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Backend } from "../../lib/server/serve_options.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { within } from "../../testing/within.ts";

/**
 * Starts a server, and asks it for ids at intervals, for twice as long as ticks are reserved ahead where restarts are
 * not free.
 */
async function hasIdsWhenAsked(backend: Backend, pauseMs: number): Promise<void> {
  await using server = await ServerProcess.start({ flags: ["--workers", "1", "--backend", backend] });
  const address: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: server.ports[0] };
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  using _closing = { [Symbol.dispose]: () => socket.close() };
  /** The tick of an id, or `undefined` if there was none to be had. */
  const ask = async () => {
    await socket.send(Uint8Array.of(0), address);
    const [reply] = await within("it answers", socket.receive());
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (reply[0] !== 0) return undefined;
    return DEFAULT_LAYOUT.unpack(new DataView(reply.buffer, reply.byteOffset).getBigUint64(1)).tick;
  };
  const first = await ask();
  assert(first !== undefined, `${backend}: no id at once`);
  for (let tick = first; tick < first + 8;) {
    const next = await ask();
    assert(next !== undefined, `${backend}, asked every ${pauseMs} ms: no id in the second after ${tick - first} s`);
    tick = next;
  }
}

describe("a server that is asked at intervals", () => {
  it("has ids all the time when it is asked every 5 ms, every 60 ms, or every 150 ms", async () => {
    const pausesMs = [5, 60, 150];
    const backends: Backend[] = ["reuseport", "listen-datagram"];
    await Promise.all(backends.flatMap((backend) => pausesMs.map((pauseMs) => hasIdsWhenAsked(backend, pauseMs))));
  });
});
