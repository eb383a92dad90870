/**
 * Asks a server for ids over several sockets at once, and writes every id it gets to stdout, as 8 bytes, little-endian.
 * Half of the sockets use the basic protocol, the others ask for ranges. It goes on until its stdin ends.
 *
 * Arguments: the ports, divided by commas, and the number of sockets.
 */
import { writeBasicRequest, writeRangeRequest } from "../../lib/wire/request.ts";
import { readBasicResponse, readRangeResponse } from "../../lib/wire/response.ts";

const IN_FLIGHT = 16;
const IDS_PER_RANGE = 3;
/** After so long without an answer, what is in flight counts as lost. */
const LOST_MS = 50;

const ports = Deno.args[0].split(",").map(Number);
const socketCount = Number(Deno.args[1]);

const ids = new BigUint64Array(1 << 16);
let count = 0;

function keep(id: bigint): void {
  ids[count++] = id;
  if (count === ids.length) flush();
}

function flush(): void {
  const bytes = new Uint8Array(ids.buffer, 0, count * 8);
  for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
  count = 0;
}

async function load(index: number): Promise<void> {
  const conn = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const server: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: ports[index % ports.length] };
  const request = new Uint8Array(64);
  const buffer = new Uint8Array(64);
  const view = new DataView(buffer.buffer);
  let tag = 0;

  const ask = async () => {
    const slot = new DataView(request.buffer);
    const length = index % 2 === 0 ? writeBasicRequest(slot) : writeRangeRequest(slot, IDS_PER_RANGE, index, ++tag);
    await conn.send(request.subarray(0, length), server);
  };
  let answeredMs = performance.now();
  const fill = async () => {
    for (let i = 0; i < IN_FLIGHT; i++) await ask();
    answeredMs = performance.now();
  };
  setInterval(() => performance.now() - answeredMs > LOST_MS && fill(), LOST_MS);
  await fill();
  while (true) {
    const [{ length }] = await conn.receive(buffer);
    answeredMs = performance.now();
    const range = readRangeResponse(view, length);
    if (range !== undefined) {
      for (let i = 0, id = range.first; i < range.granted; i++, id += range.step) keep(id);
    }
    const id = readBasicResponse(view, length);
    if (id !== undefined) keep(id);
    await ask();
  }
}

for (let i = 0; i < socketCount; i++) load(i);
setInterval(flush, 10);
for await (const _ of Deno.stdin.readable);
flush();
Deno.exit(0);
