/**
 * One client of the UDP benchmark: asks a server on this machine for one id a request, with the basic protocol, and
 * prints a line a second: how many ids and how many errors it got.
 *
 * Arguments: the server's port, and how many requests are in flight (at most 64, so that the server's receive buffer
 * has room for them).
 */
import { ConnectedSocket } from "../lib/udp/connected_socket.ts";
import { BASIC_REQUEST_BYTES, BASIC_SUCCESS_BYTES } from "../lib/wire/protocol.ts";
import { writeBasicRequest } from "../lib/wire/request.ts";

const HOSTNAME = "127.0.0.1";
/** The requests in flight count as lost after this time without a response. */
const TIMEOUT_MS = 100;

const [port, inFlight] = Deno.args.map(Number);
let [second, oks, errors] = [Math.floor(Date.now() / 1000), 0, 0];
if (Deno.build.os === "linux") loadThroughLibc();
else await loadThroughDeno();

function loadThroughLibc(): void {
  const socket = new ConnectedSocket(HOSTNAME, port, TIMEOUT_MS);
  let toSend = inFlight;
  while (true) {
    for (let i = 0; i < toSend; i++) socket.add(writeBasicRequest(socket.slot));
    socket.send();
    let ok = 0;
    const received = socket.receive((_, length) => ok += length === BASIC_SUCCESS_BYTES ? 1 : 0);
    count(ok, received - ok);
    toSend = received === 0 ? inFlight : Math.min(received, inFlight);
  }
}

async function loadThroughDeno(): Promise<never> {
  const conn = Deno.listenDatagram({ transport: "udp", hostname: HOSTNAME, port: 0 });
  const request = new Uint8Array(BASIC_REQUEST_BYTES);
  writeBasicRequest(new DataView(request.buffer));
  const ask = async (requests: number) => {
    while (requests-- > 0) await conn.send(request, { transport: "udp", hostname: HOSTNAME, port });
  };
  let answeredMs = Date.now();
  setInterval(() => Date.now() - answeredMs > TIMEOUT_MS && ask(inFlight), TIMEOUT_MS);
  await ask(inFlight);
  while (true) {
    const [response] = await conn.receive();
    answeredMs = Date.now();
    const ok = response.length === BASIC_SUCCESS_BYTES ? 1 : 0;
    count(ok, 1 - ok);
    await ask(1);
  }
}

/** Counts, and prints the counts when a second of the clock has passed. */
function count(ok: number, error: number): void {
  const now = Math.floor(Date.now() / 1000);
  if (now > second) {
    console.log(`${second} ${oks} ${errors}`);
    [second, oks, errors] = [now, 0, 0];
  }
  oks += ok;
  errors += error;
}
