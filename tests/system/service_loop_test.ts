import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { within } from "../../testing/within.ts";
import { SEED } from "../settings.ts";
import { canForgeSenders, ForgedSender } from "../udp/forged_sender.ts";
import { Fuzzer } from "../wire/fuzz.ts";
import { ASKING_FOR_NONE, ASKING_SERVICES, REQUESTS, type Service, SERVICES } from "../wire/services.ts";

/** More datagrams than a server sends a service in one exchange that is no loop. */
const MAX_SENT = 4;

/** How many good requests are answered while a loop would go on: each lets it make another exchange. */
const ROUNDS = 50;

/**
 * More exchanges than a service makes that has a share of 81 ids a second and loses its exchange on errors; and half of
 * what it makes in a second until the node itself has no more ids.
 */
const MAX_BY_SHARE = 4000;

/** A socket that answers every datagram as a service does, and also asks for ids by itself. */
class ServiceSocket implements Disposable {
  readonly #conn = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  readonly #fuzzer = new Fuzzer(SEED);
  readonly #server: Deno.NetAddr;
  /** How many datagrams the server sent it, but for answers to good requests. */
  received = 0;

  private readonly service: Service;

  constructor(service: Service, port: number) {
    this.service = service;
    this.#server = { transport: "udp", hostname: "127.0.0.1", port };
  }

  get port(): number {
    return (this.#conn.addr as Deno.NetAddr).port;
  }

  async send(datagram: Uint8Array): Promise<void> {
    await this.#conn.send(datagram, this.#server);
  }

  /** Asks for an id, and answers everything as the service does until the id is here. */
  async askOnce(): Promise<void> {
    const request = new Uint8Array(32);
    const view = new DataView(request.buffer);
    view.setUint32(0, 0x02000000);
    view.setUint32(4, 1);
    view.setUint32(8, this.#fuzzer.word());
    view.setUint32(12, this.#fuzzer.word());
    await this.send(request);
    while (true) {
      const [datagram] = await within("an answer to a good request", this.#conn.receive());
      if (hasTagOf(datagram, request)) return;
      this.received++;
      const reply = this.service.reply(datagram, this.#fuzzer);
      if (reply !== undefined) await this.send(reply);
    }
  }

  /** What begins an exchange: a basic request, and what the service itself sends. */
  openings(): Uint8Array[] {
    return [Uint8Array.of(0), this.service.reply(Uint8Array.of(0), this.#fuzzer) ?? Uint8Array.of(0)];
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }
}

function hasTagOf(answer: Uint8Array, request: Uint8Array): boolean {
  return answer.length === 32 && answer.subarray(8, 16).every((byte, i) => byte === request[8 + i]);
}

for (const backend of ["reuseport", "listen-datagram"]) {
  describe(`a server whose client's address is a service's, ${backend}`, () => {
    it("keeps no exchange going with any service", async () => {
      await using server = await ServerProcess.start({ flags: ["--workers", "1", "--backend", backend] });
      for (const service of SERVICES) {
        using socket = new ServiceSocket(service, server.ports[0]);
        for (const opening of socket.openings()) await socket.send(opening);
        for (let round = 0; round < ROUNDS; round++) await socket.askOnce();
        assertLessOrEqual(socket.received, 2 * MAX_SENT, `${service.name}: datagrams that the server sent`);
      }
    });

    it("with --source-share, ends an exchange with a service that happens to ask, once its share is used up", async () => {
      // 1 % of the ids of a tick are 81.
      const flags = ["--workers", "1", "--backend", backend, "--layout", "number", "--source-share", "1"];
      await using server = await ServerProcess.start({ flags });
      for (const service of ASKING_SERVICES.filter((service) => service !== ASKING_FOR_NONE)) {
        using client = new IdClient({ port: server.ports[0], timeoutMs: 20_000 });
        await client.nextId(); // which comes as soon as a tick has ids for this address
        using socket = new ServiceSocket(service, server.ports[0]);
        for (const request of REQUESTS) await socket.send(request);
        let before: number;
        do {
          before = socket.received;
          for (let round = 0; round < ROUNDS; round++) await socket.askOnce();
          assertLessOrEqual(socket.received, MAX_BY_SHARE, service.name);
        } while (socket.received > before);
        assertGreater(before, MAX_SENT, service.name);
      }
    });

    const test = `service_loop_test, ${backend}, a spoofed sender`;
    (canForgeSenders(test) ? it : it.skip)("keeps no exchange going that a spoofed datagram began", async () => {
      await using server = await ServerProcess.start({ flags: ["--workers", "1", "--backend", backend] });
      const [port] = server.ports;
      using attacker = ForgedSender.tryOpen();
      const daytime = SERVICES.find(({ name }) => name.startsWith("daytime"));
      assertEquals([attacker !== undefined, daytime !== undefined], [true, true]);
      using socket = new ServiceSocket(daytime as Service, port);
      const hostname = "127.0.0.1";
      attacker?.send({ hostname, port: socket.port }, { hostname, port }, Uint8Array.of(0xff));
      for (let round = 0; round < ROUNDS; round++) await socket.askOnce();
      assertEquals(socket.received, 0);
    });
  });
}
