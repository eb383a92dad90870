import { isClientPort } from "./client_port.ts";
import { SourceAddress } from "./source_address.ts";
import { type Drops, type Respond, SLOT_BYTES, type UdpSocket, type UdpSocketOptions } from "./udp_socket.ts";

/**
 * Room for the longest datagram that UDP can carry: Windows fails a receive whose buffer is shorter than the datagram.
 */
const MAX_DATAGRAM_BYTES = 65_536;

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

  async function serve(respond: Respond): Promise<void> {
    const buffer = new Uint8Array(MAX_DATAGRAM_BYTES);
    const slot = new DataView(buffer.buffer, 0, SLOT_BYTES);
    const source = new SourceAddress();
    while (!closed) {
      try {
        const [datagram, sender] = await conn.receive(buffer);
        receivedMs = Date.now();
        const { hostname, port } = sender as Deno.NetAddr;
        if (!isClientPort(port)) {
          notFromClient++;
          continue;
        }
        source.readText(hostname);
        const length = respond(slot, Math.min(datagram.length, SLOT_BYTES), source);
        if (length > 0) await conn.send(buffer.subarray(0, length), sender);
      } catch {
        // A receive fails when the socket is closed; on some systems, also after an answer that reached nobody. A send
        // fails when there is no route to the sender, who then retransmits. Neither is a reason to stop serving others.
        if (!closed) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }

  function readClock(): boolean {
    const beforeMs = receivedMs;
    receivedMs = Date.now();
    return receivedMs !== beforeMs;
  }

  function takeDrops(): Drops {
    const drops = { notFromClient, overflowed: 0 };
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
