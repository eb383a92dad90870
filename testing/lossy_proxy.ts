/**
 * Stands before an HTTP server, and loses some of its replies: the server has done what it was asked to, and the caller
 * never hears of it.
 */
export class LossyProxy implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #end = Promise.withResolvers<void>();
  /** How many requests have come. */
  requests = 0;
  /** How many replies got lost. */
  lost = 0;

  /**
   * Listens on a port that the kernel gives.
   *
   * @param target The server, as `http://HOST:PORT`.
   * @param isLost Whether the next reply gets lost.
   */
  constructor(target: string, isLost: () => boolean) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      this.requests++;
      const { pathname } = new URL(request.url);
      const body = await request.text().catch(() => undefined);
      if (body === undefined) return new Response(); // The caller has given up already.
      const headers = request.headers;
      const reply = await fetch(target + pathname, { method: request.method, headers, body });
      const text = await reply.text();
      if (!isLost()) return new Response(text, reply);
      this.lost++;
      await this.#end.promise;
      return new Response();
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.resolve();
    await this.#server.shutdown();
  }
}
