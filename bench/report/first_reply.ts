import { BASIC_REQUEST_BYTES, BASIC_SUCCESS_BYTES } from "../../lib/wire/protocol.ts";
import { writeBasicRequest } from "../../lib/wire/request.ts";
import { sleep, unlessStopped } from "../stop.ts";

/** How often a server is asked, in ms. */
const INTERVAL_MS = 2;

/**
 * Asks a server on this machine until it answers.
 *
 * @returns The id in its answer; `undefined` if it had none.
 */
export async function firstReply(port: number): Promise<bigint | undefined> {
  const request = new Uint8Array(BASIC_REQUEST_BYTES);
  writeBasicRequest(new DataView(request.buffer));
  const conn = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const ask = () => conn.send(request, { transport: "udp", hostname: "127.0.0.1", port }).catch(() => {});
  const timer = setInterval(ask, INTERVAL_MS);
  try {
    await ask();
    const [reply] = await unlessStopped(conn.receive());
    const isId = reply.length === BASIC_SUCCESS_BYTES;
    return isId ? new DataView(reply.buffer, reply.byteOffset).getBigUint64(1) : undefined;
  } finally {
    clearInterval(timer);
    conn.close();
  }
}

/**
 * Asks a server on this machine until it has an id.
 *
 * @returns The id.
 */
export async function firstId(port: number): Promise<bigint> {
  for (;;) {
    const id = await firstReply(port);
    if (id !== undefined) return id;
    await sleep(INTERVAL_MS);
  }
}
