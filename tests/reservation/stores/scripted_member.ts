/** What a scripted member does with a request: answers it, or stays silent (`undefined`). */
export type Script = (body: Record<string, unknown>, request: Request) => Response | void | Promise<Response>;

/** A server that behaves as a test wants a member of etcd to. */
export class ScriptedMember implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #end = Promise.withResolvers<Response>();
  /** How many requests have come. */
  requests = 0;

  /** Listens on a port that the kernel gives. */
  constructor(script: Script) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      this.requests++;
      return await (script(JSON.parse(await request.text()), request) ?? this.#end.promise);
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.resolve(new Response());
    await this.#server.shutdown();
  }
}

/** An error as etcd's gateway answers it. */
export function refusal(message: string, status: number = 400): Response {
  return Response.json({ error: message, message, code: 0 }, { status });
}
