/**
 * One client of the UDP benchmark: asks for one id a request, with the basic protocol, keeps so many requests in
 * flight, and prints a line a second: how many ids and how many errors it got.
 *
 * Arguments: the server's address and port, and how many requests are in flight (1 to 64).
 */
import { ConnectedSocket } from "../lib/udp/connected_socket.ts";
import { BASIC_REQUEST_BYTES, BASIC_SUCCESS_BYTES } from "../lib/wire/protocol.ts";
import { writeBasicRequest } from "../lib/wire/request.ts";

/** More than this would not always fit into the server's receive buffer. */
const MAX_IN_FLIGHT = 64;

/** After so long without a response, the requests in flight count as lost. */
const TIMEOUT_MS = 100;

const [hostname, port, inFlight] = [Deno.args[0], Number(Deno.args[1]), Number(Deno.args[2])];
if (!(inFlight >= 1 && inFlight <= MAX_IN_FLIGHT)) {
  throw new RangeError(`the number of requests in flight must be 1 to ${MAX_IN_FLIGHT}: got ${Deno.args[2]}`);
}
if (Deno.build.os === "linux") loadThroughLibc();
else await loadThroughDeno();

function loadThroughLibc(): void {
  const socket = new ConnectedSocket(hostname, port, TIMEOUT_MS);
  const count = counter();
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
  const conn = Deno.listenDatagram({ transport: "udp", hostname: hostname.includes(":") ? "::" : "0.0.0.0", port: 0 });
  const server: Deno.NetAddr = { transport: "udp", hostname, port };
  const request = new Uint8Array(BASIC_REQUEST_BYTES);
  writeBasicRequest(new DataView(request.buffer));
  const count = counter();
  const ask = async (requests: number) => {
    while (requests-- > 0) await conn.send(request, server);
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
function counter(): (ok: number, error: number) => void {
  let [second, oks, errors] = [Math.floor(Date.now() / 1000), 0, 0];
  return (ok, error) => {
    const now = Math.floor(Date.now() / 1000);
    if (now > second) {
      console.log(`${second} ${oks} ${errors}`);
      [second, oks, errors] = [now, 0, 0];
    }
    oks += ok;
    errors += error;
  };
}
