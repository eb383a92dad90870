/**
 * Stands before a TCP server, and loses some of its replies: the server has done what it was asked to, and the caller
 * finds the connection cut.
 */
export class CuttingProxy implements AsyncDisposable {
  readonly #listener: Deno.TcpListener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #serving: Promise<void>;
  #isEnded = false;
  /** How many replies were lost. */
  lost = 0;

  /**
   * Begins.
   *
   * @param port The server's, on this machine.
   * @param isLost Whether the next reply, of which this is a part, is to be lost.
   */
  constructor(port: number, isLost: (reply: string) => boolean) {
    this.#serving = this.#serve(port, isLost);
  }

  get host(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  async #serve(port: number, isLost: (reply: string) => boolean): Promise<void> {
    const all: Promise<void>[] = [];
    for await (const caller of this.#listener) all.push(this.#pass(caller, port, isLost));
    await Promise.all(all);
  }

  async #pass(caller: Deno.TcpConn, port: number, isLost: (reply: string) => boolean): Promise<void> {
    this.#connections.add(caller);
    const server = await Deno.connect({ hostname: "127.0.0.1", port });
    this.#connections.add(server);
    const end = () => {
      for (const connection of [caller, server]) {
        if (this.#connections.delete(connection)) connection.close();
      }
    };
    const text = new TextDecoder("latin1");
    const copy = async (from: Deno.TcpConn, to: Deno.TcpConn) => {
      const buffer = new Uint8Array(65_536);
      try {
        for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
          const bytes = buffer.subarray(0, n);
          if (from === server && isLost(text.decode(bytes))) {
            this.lost++;
            break;
          }
          for (let sent = 0; sent < n;) sent += await to.write(bytes.subarray(sent));
        }
      } catch {
        // One of the two sides has ended.
      }
      end();
    };
    await Promise.all([copy(caller, server), copy(server, caller)]);
  }

  /** Cuts all connections, for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    this.#connections.clear();
    await this.#serving;
  }
}
