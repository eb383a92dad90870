/**
 * What access control costs: the CPU time that a worker takes for a request, and so how many it could answer in a
 * second of it.
 *
 *     deno task bench:access [requests]
 *
 * Requests of 1 id each, 64 in flight, signed before the clock starts. Linux only.
 */
import { Mac } from "../lib/access/mac.ts";
import { MAX_AHEAD_MS } from "../lib/access/replay_window.ts";
import { ConnectedSocket } from "../lib/udp/connected_socket.ts";
import { RANGE, RANGE_BYTES, SIGNED, SIGNED_BYTES } from "../lib/wire/protocol.ts";
import { writeRangeRequest } from "../lib/wire/request.ts";
import { ServerProcess } from "../testing/server_process.ts";
import { TempDir } from "../testing/temp_dir.ts";

const ROUNDS = 5;
const IN_FLIGHT = 64;
/** Of `struct tms`, as /proc tells it on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

const requests = Number(Deno.args[0] ?? 200_000);
const key = crypto.getRandomValues(new Uint8Array(32));
await using state = await TempDir.make();
await Deno.writeTextFile(`${state.path}/key`, key.toHex(), { mode: 0o600 });

const far = Array.from({ length: 100 }, (_, i) => ["--allow", `10.0.${i}.0/24`]).flat();
const subjects: [name: string, flags: string[], isSigned: boolean][] = [
  ["nothing", [], false],
  ["--allow, 1 range", ["--allow", "127.0.0.0/8"], false],
  ["--allow, 101 ranges", [...far, "--allow", "127.0.0.0/8"], false],
  ["--source-share 100", ["--source-share", "100"], false],
  ["--key-file", ["--key-file", `${state.path}/key`], true],
];
const costs = subjects.map((): number[] => []);
for (let round = 0; round < ROUNDS; round++) {
  for (const [i, [, flags, isSigned]] of subjects.entries()) costs[i].push(await microsecondsEach(flags, isSigned));
}
console.log(`access control       us a request  requests a second of CPU   (median of ${ROUNDS} rounds)`);
for (const [i, [name]] of subjects.entries()) {
  const median = costs[i].sort((a, b) => a - b)[ROUNDS >> 1];
  console.log(
    `${name.padEnd(20)} ${median.toFixed(2).padStart(12)} ${Math.round(1e6 / median).toString().padStart(25)}`,
  );
}

async function microsecondsEach(flags: string[], isSigned: boolean): Promise<number> {
  await using server = await ServerProcess.start({ state, flags: ["--workers", "1", "--layout", "wide", ...flags] });
  const [pid] = await server.workerPids();
  const socket = new ConnectedSocket("127.0.0.1", server.ports[0], 100);
  answer(socket, prepare(20_000, isSigned), isSigned);
  await new Promise((resolve) => setTimeout(resolve, MAX_AHEAD_MS)); // until then, it takes no signed request for new
  const prepared = prepare(requests, isSigned);
  const before = await cpuSeconds(pid);
  answer(socket, prepared, isSigned);
  const after = await cpuSeconds(pid);
  socket.close();
  return (after - before) * 1e6 / requests;
}

/** Requests one behind the other. */
function prepare(count: number, isSigned: boolean): Uint8Array<ArrayBuffer> {
  const mac = new Mac(key);
  const bytes = new Uint8Array(count * SIGNED_BYTES);
  for (let i = 0; i < count; i++) {
    const view = new DataView(bytes.buffer, i * SIGNED_BYTES, SIGNED_BYTES);
    writeRangeRequest(view, 1, 0, i);
    if (isSigned) mac.signRequest(view, Date.now(), 0, Math.random() * 2 ** 32);
  }
  return bytes;
}

/** Sends all requests, as fast as they are answered. */
function answer(socket: ConnectedSocket, requests: Uint8Array<ArrayBuffer>, isSigned: boolean): void {
  const length = isSigned ? SIGNED_BYTES : RANGE_BYTES;
  const count = requests.length / SIGNED_BYTES;
  for (let next = 0, toSend = IN_FLIGHT; next < count; next += toSend) {
    toSend = Math.min(toSend, count - next);
    for (let i = 0; i < toSend; i++) {
      const begin = (next + i) * SIGNED_BYTES;
      const { slot } = socket;
      for (let i = 0; i < length; i++) slot.setUint8(i, requests[begin + i]);
      socket.add(length);
    }
    socket.send();
    for (let left = toSend; left > 0;) {
      const received = socket.receive((response) => {
        const first = response.getUint8(0);
        if (first !== (isSigned ? SIGNED : RANGE)) throw new Error(`the server answers with 0x${first.toString(16)}`);
      });
      if (received === 0) throw new Error("the server does not answer");
      left -= received;
    }
  }
}

/** The CPU time of a process so far. */
async function cpuSeconds(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
