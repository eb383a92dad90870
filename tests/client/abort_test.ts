import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient, type IdClientOptions, UnavailableError } from "../../client.ts";
import { WireStatus } from "../../lib/wire/protocol.ts";
import { grant, refuse, ScriptedServer, type SeenRequest } from "./scripted_server.ts";

/** Long enough for any response on loopback. */
const PATIENT = { retransmitMs: 60_000, timeoutMs: 120_000 };

/** Answers only when the test says so. */
class HeldServer extends ScriptedServer {
  readonly #held: ((datagrams: Uint8Array[]) => void)[] = [];
  #seen = Promise.withResolvers<void>();

  constructor() {
    super(() => {
      const { promise, resolve } = Promise.withResolvers<Uint8Array[]>();
      this.#held.push(resolve);
      this.#seen.resolve();
      return promise;
    });
  }

  /** Waits for the next request. */
  async next(): Promise<SeenRequest> {
    await this.#seen.promise;
    this.#seen = Promise.withResolvers();
    return this.requests[this.requests.length - 1];
  }

  /** Grants all that a request asks for, from an id on. */
  grant(request: SeenRequest, first: bigint): void {
    this.#held[request.index]([grant(request, first)]);
  }
}

/** A signal that counts its listeners. */
class CountedSignal {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  readonly reason = new Error("the user has gone");
  listeners = 0;

  constructor() {
    const { signal } = this;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      this.listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      this.listeners--;
      remove(...args);
    };
  }

  abort(): void {
    this.#controller.abort(this.reason);
  }
}

/** Counts the timers that run, from when it is made until it is disposed of. */
class CountedTimers implements Disposable {
  readonly #running = new Set<unknown>();
  readonly #setTimeout = globalThis.setTimeout;
  readonly #clearTimeout = globalThis.clearTimeout;

  constructor() {
    globalThis.setTimeout = ((run: () => void, ms?: number) => {
      const timer = this.#setTimeout(() => {
        this.#running.delete(timer);
        run();
      }, ms);
      this.#running.add(timer);
      return timer;
    }) as typeof setTimeout;
    globalThis.clearTimeout = (timer) => {
      this.#running.delete(timer);
      this.#clearTimeout(timer);
    };
  }

  get running(): number {
    return this.#running.size;
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = this.#setTimeout;
    globalThis.clearTimeout = this.#clearTimeout;
  }
}

const calls: [
  name: string,
  options: IdClientOptions,
  call: (client: IdClient, signal: AbortSignal) => Promise<unknown>,
][] = [
  ["nextId", {}, (client, signal) => client.nextId({ signal })],
  ["nextId with prefetch", { prefetch: 5 }, (client, signal) => client.nextId({ signal })],
  ["nextIds", {}, (client, signal) => client.nextIds(3, { signal })],
];

for (const [name, options, call] of calls) {
  describe(`IdCallOptions.signal, ${name}`, () => {
    it("rejects an aborted call at once, with the signal's reason", async () => {
      await using server = new HeldServer();
      using client = new IdClient({ port: server.port, ...PATIENT, ...options });
      const counted = new CountedSignal();
      const id = call(client, counted.signal);
      await server.next();
      counted.abort();
      assert(await assertRejects(() => id) === counted.reason);
    });

    it("rejects a call whose signal was aborted before, and asks no server", async () => {
      await using server = new HeldServer();
      using client = new IdClient({ port: server.port, ...PATIENT, ...options });
      const counted = new CountedSignal();
      counted.abort();
      assert(await assertRejects(() => call(client, counted.signal)) === counted.reason);
      assertEquals([server.requests.length, counted.listeners], [0, 0]);
    });

    it("leaves neither a timer nor a listener behind an aborted call", async () => {
      await using server = new HeldServer();
      using client = new IdClient({ port: server.port, ...PATIENT, ...options });
      const counted = new CountedSignal();
      using timers = new CountedTimers();
      const id = call(client, counted.signal);
      await server.next();
      assertEquals([timers.running, counted.listeners], [1, 1]);
      counted.abort();
      await assertRejects(() => id);
      assertEquals([timers.running, counted.listeners], [0, 0]);
    });

    it("leaves no listener behind a call that succeeds", async () => {
      await using server = new HeldServer();
      using client = new IdClient({ port: server.port, ...PATIENT, ...options });
      const counted = new CountedSignal();
      const id = call(client, counted.signal);
      server.grant(await server.next(), 10n);
      await id;
      assertEquals(counted.listeners, 0);
    });

    it("leaves no listener behind a call that fails", async () => {
      await using server = new ScriptedServer((request) => [refuse(request, WireStatus.OUT_OF_IDS, 121_000)]);
      using client = new IdClient({ port: server.port, ...PATIENT, ...options });
      const counted = new CountedSignal();
      await assertRejects(() => call(client, counted.signal), UnavailableError);
      assertEquals(counted.listeners, 0);
    });

    it("aborts a call that waits for a server without ids", async () => {
      await using server = new ScriptedServer((request) => [refuse(request, WireStatus.OUT_OF_IDS, 50_000)]);
      using client = new IdClient({ port: server.port, ...PATIENT, ...options });
      const error = await assertRejects(() => call(client, AbortSignal.timeout(50)), DOMException);
      assertEquals(error.name, "TimeoutError");
    });

    it("harms no other call", async () => {
      await using server = new HeldServer();
      using client = new IdClient({ port: server.port, ...PATIENT, ...options });
      const counted = new CountedSignal();
      const other = client.nextId();
      const first = await server.next();
      const aborted = call(client, counted.signal);
      if (options.prefetch === undefined) await server.next();
      counted.abort();
      await assertRejects(() => aborted);
      server.grant(first, 7n);
      assertEquals(await other, 7n);
    });
  });
}

describe("IdCallOptions.signal, nextId with prefetch", () => {
  it("leaves the ids of an aborted call to the calls that wait for the same refill, and to later ones", async () => {
    await using server = new HeldServer();
    using client = new IdClient({ port: server.port, prefetch: 3, ...PATIENT });
    const counted = new CountedSignal();
    const aborted = client.nextId({ signal: counted.signal });
    const others = [client.nextId(), client.nextId()];
    const request = await server.next();
    counted.abort();
    await assertRejects(() => aborted);
    server.grant(request, 100n);
    assertEquals(await Promise.all(others), [100n, 101n]);
    assertEquals(await client.nextId(), 102n);
    assertEquals(server.requests.length, 1);
  });

  it("fetches anew after the only call that waited was aborted", async () => {
    await using server = new HeldServer();
    using client = new IdClient({ port: server.port, prefetch: 3, ...PATIENT });
    const counted = new CountedSignal();
    const aborted = client.nextId({ signal: counted.signal });
    await server.next();
    counted.abort();
    await assertRejects(() => aborted);
    const id = client.nextId();
    server.grant(await server.next(), 200n);
    assertEquals(await id, 200n);
  });
});

describe("IdCallOptions.signal, nextIds", () => {
  it("aborts a call that has got some of its ids", async () => {
    const counted = new CountedSignal();
    await using server = new ScriptedServer((request) => {
      if (request.index === 0) return [grant(request, 1n, { granted: 1 })];
      counted.abort();
      return [];
    });
    using client = new IdClient({ port: server.port, ...PATIENT });
    assert(await assertRejects(() => client.nextIds(5, { signal: counted.signal })) === counted.reason);
    assertEquals([server.requests.length, counted.listeners], [2, 0]);
  });
});
