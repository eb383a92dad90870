import { sleep } from "../base/sleep.ts";
import { isClientPort } from "./client_port.ts";
import { SourceAddress } from "./source_address.ts";
import { type Drops, type Respond, SLOT_BYTES, type UdpSocket, type UdpSocketOptions } from "./udp_socket.ts";

/**
 * Room for the longest datagram that UDP can carry: Windows fails a receive whose buffer is shorter than the datagram.
 */
const MAX_DATAGRAM_BYTES = 65_536;

/**
 * How many answers may wait for room in the system's buffer. The buffer fills up when answers wait for a neighbour that
 * does not resolve: spoofed senders can bring that about. Further answers are lost meanwhile, and their clients
 * retransmit.
 */
const MAX_WAITING_ANSWERS = 64;

/** How long the socket waits after a receive that failed after another one, in ms. */
const FAILURE_PAUSE_MS = 1;

/**
 * Binds a socket of Deno's own. It works on every platform, without FFI, and needs the flag `--unstable-net`.
 *
 * @param options Where to bind it.
 * @returns The socket.
 * @throws {Deno.errors.AddrInUse} If another socket has the port.
 * @throws {Deno.errors.NotCapable} If the permission `--allow-net` does not cover the address.
 */
export function listenDatagram(options: UdpSocketOptions): UdpSocket {
  const conn = Deno.listenDatagram({ ...options, transport: "udp" });
  const { hostname, port } = conn.addr as Deno.NetAddr;
  let receivedMs = Date.now();
  let notFromClient = 0;
  let closed = false;
  let waitingAnswers = 0;

  async function serve(respond: Respond): Promise<void> {
    const buffer = new Uint8Array(MAX_DATAGRAM_BYTES);
    const slot = new DataView(buffer.buffer, 0, SLOT_BYTES);
    const source = new SourceAddress();
    let failures = 0;
    while (!closed) {
      try {
        const [datagram, sender] = await conn.receive(buffer);
        failures = 0;
        receivedMs = Date.now();
        const { hostname, port } = sender as Deno.NetAddr;
        if (!isClientPort(port)) {
          notFromClient++;
          continue;
        }
        source.readText(hostname);
        const length = respond(slot, Math.min(datagram.length, SLOT_BYTES), source);
        if (length > 0) send(buffer.slice(0, length), sender);
      } catch {
        // A receive fails when the socket is closed; on some systems, also once after an answer that reached nobody.
        if (!closed && ++failures > 1) await sleep(FAILURE_PAUSE_MS);
      }
    }
  }

  /**
   * Sends an answer, and does not wait until it is sent, so that an answer which cannot be sent holds up nobody else's.
   * An answer without a route to its receiver is lost.
   */
  function send(answer: Uint8Array, receiver: Deno.Addr): void {
    if (waitingAnswers === MAX_WAITING_ANSWERS) return;
    waitingAnswers++;
    conn.send(answer, receiver).then(endSend, endSend);
  }

  function endSend(): void {
    waitingAnswers--;
  }

  function readClock(): boolean {
    const beforeMs = receivedMs;
    receivedMs = Date.now();
    return receivedMs !== beforeMs;
  }

  function takeDrops(): Drops {
    const drops = { notFromClient, shed: 0, overflowed: 0 };
    notFromClient = 0;
    return drops;
  }

  function close(): void {
    closed = true;
    conn.close();
  }

  return {
    hostname,
    port,
    get receivedMs() {
      return receivedMs;
    },
    readClock,
    takeDrops,
    serve,
    close,
  };
}
