/**
 * What becomes of a request: all goes well; the server performs it, and its reply gets lost; or it is on its way until
 * the test lets it arrive.
 */
export type RequestFate = "well" | "reply lost" | "late";

/** Stands before an HTTP server, and lets requests fare as a test wants them to. */
export class LossyProxy implements AsyncDisposable {
  readonly #target: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #end = Promise.withResolvers<void>();
  #late: (() => Promise<Response>)[] = [];
  /** How many requests have come. */
  requests = 0;
  /** How many replies got lost. */
  lost = 0;

  /**
   * Listens on a port that the kernel gives.
   *
   * @param target The server, as `http://HOST:PORT`.
   * @param fateOf What becomes of the next request.
   */
  constructor(target: string, fateOf: () => RequestFate) {
    this.#target = target;
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      this.requests++;
      const body = await request.text().catch(() => undefined);
      if (body === undefined) return new Response(); // The caller has given up already.
      const fate = fateOf();
      if (fate === "late") {
        this.#late.push(() => this.#forward(request, body));
      } else {
        const reply = await this.#forward(request, body);
        if (fate === "well") return reply;
        this.lost++;
      }
      await this.#end.promise;
      return new Response();
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Lets all late requests arrive, in their order, and returns what the server replied to each. Nobody else hears. */
  async deliverLate(): Promise<string[]> {
    const late = this.#late;
    this.#late = [];
    const replies: string[] = [];
    for (const deliver of late) replies.push(await (await deliver()).text());
    return replies;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.resolve();
    await this.#server.shutdown();
  }

  async #forward({ url, method, headers }: Request, body: string): Promise<Response> {
    const reply = await fetch(this.#target + new URL(url).pathname, { method, headers, body });
    return new Response(await reply.text(), reply);
  }
}
