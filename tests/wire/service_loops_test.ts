import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createAccessCounts } from "../../lib/access/access_counts.ts";
import { type AccessOptions, createGuardedResponder } from "../../lib/access/guarded_responder.ts";
import { SourceTable } from "../../lib/access/source_table.ts";
import { createSourceMemory } from "../../lib/node/source_memory.ts";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { createResponder } from "../../lib/wire/responder.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { keyOf } from "../access/keys.ts";
import { source } from "../access/sources.ts";
import { HandClock } from "../id/hand_clock.ts";
import { SEED } from "../settings.ts";
import { Fuzzer } from "./fuzz.ts";
import {
  ASKING_FOR_NONE,
  ASKING_SERVICES,
  atRandom,
  ECHOING_SERVICES,
  inTurn,
  REQUESTS,
  type Service,
  SERVICES,
} from "./services.ts";

/** More than any exchange with a service makes that sends no requests. */
const MAX_EXCHANGES = 4;
/** An exchange that lives on errors ends by chance: 1 of 64 is omitted. Longer ones come once in 10^27 times. */
const MAX_EXCHANGES_BY_ERRORS = 4000;

/** One in ten datagrams of an automaton that asks now and then is a request: longer exchanges come once in 10^40. */
const MAX_EXCHANGES_AT_RANDOM = 40;

const OPENINGS = 2000;

const ALL_SERVICES = [...SERVICES, ...ASKING_SERVICES];

const AUTOMATA: { service: Service; most: number }[] = [
  { service: inTurn("each service in turn", SERVICES), most: MAX_EXCHANGES },
  { service: atRandom("services at random", SERVICES), most: MAX_EXCHANGES },
  {
    service: inTurn("each service in turn, also those that ask", ALL_SERVICES),
    most: MAX_EXCHANGES + ASKING_SERVICES.length,
  },
  { service: atRandom("services at random, also those that ask", ALL_SERVICES), most: MAX_EXCHANGES_AT_RANDOM },
];

const SENDER = source("192.0.2.1");

/** A server that many datagrams can be put to; it has ids, or none for ever. */
class Server {
  readonly #slot = new Uint8Array(64);
  readonly #view = new DataView(this.#slot.buffer);
  readonly #respond;

  constructor(hasIds: boolean, access: AccessOptions) {
    const layout = DEFAULT_LAYOUT;
    const clock = new HandClock(layout.epochMs);
    const reservation = { firstTick: 0, mark: hasIds ? layout.maxTick : 0 };
    const sequencer = new IdSequencer({ nodeId: 1, clock, reservation });
    this.#respond = createGuardedResponder(
      createResponder(sequencer, { readClock: () => hasIds && (clock.ms += layout.tickMs) > 0 }), // when one is used up
      access,
      {
        ...{ sequencer, clock, readClock: () => {}, maxCount: 2 ** 32 - 1, counts: createAccessCounts() },
        sources: new SourceTable(createSourceMemory(), { idsPerTick: 1, leaseParts: 1, tickMs: layout.tickMs }),
      },
    );
  }

  reply(datagram: Uint8Array): Uint8Array | undefined {
    this.#slot.set(datagram.subarray(0, 64));
    const length = this.#respond(this.#view, Math.min(datagram.length, 64), SENDER);
    return length === 0 ? undefined : this.#slot.slice(0, length);
  }
}

const LIMITED: AccessOptions = { sourceLimit: { idsPerTick: 1, prefixBits: 56, workers: 1 } };

/** What a server answers a service that asks it again and again. */
type Answers = "ids" | "errors" | "nothing";

const SERVERS: { name: string; hasIds: boolean; access: AccessOptions; answers: Answers }[] = [
  { name: "a server", hasIds: true, access: {}, answers: "ids" },
  { name: "a server without ids", hasIds: false, access: {}, answers: "errors" },
  { name: "a server whose sources have used up theirs", hasIds: true, access: LIMITED, answers: "errors" },
  {
    name: "a server with a key",
    hasIds: true,
    access: { signing: { keysHex: [keyOf(1).toHex()], cluster: "global-id" } },
    answers: "nothing",
  },
  { name: "a server that lets others in", hasIds: true, access: { allow: ["198.51.100.0/24"] }, answers: "nothing" },
];

/** Lets a server and a service answer each other, and returns how many datagrams the server sent. */
function exchange(server: Server, service: Service, opening: Uint8Array, fuzzer: Fuzzer, most: number): number {
  let sent = 0;
  for (let datagram: Uint8Array | undefined = opening; datagram !== undefined && sent <= most;) {
    const answer = server.reply(datagram);
    if (answer === undefined) return sent;
    sent++;
    datagram = service.reply(answer, fuzzer);
  }
  return sent;
}

/** What may begin an exchange: a request, anything, or what the service sends by itself. */
function openingOf(service: Service, fuzzer: Fuzzer): Uint8Array {
  const slot = new Uint8Array(64);
  const length = fuzzer.next(new DataView(slot.buffer));
  const datagram = slot.slice(0, length);
  return fuzzer.below(4) === 0 ? service.reply(datagram, fuzzer) ?? datagram : datagram;
}

describe("a server and a service that answers everything", () => {
  for (const { name, hasIds, access } of SERVERS) {
    for (const service of SERVICES) {
      it(`${name}: no loop with ${service.name} (seed ${SEED})`, () => {
        const server = new Server(hasIds, access);
        const fuzzer = new Fuzzer(SEED);
        for (let i = 0; i < OPENINGS; i++) {
          const opening = openingOf(service, fuzzer);
          assertLessOrEqual(exchange(server, service, opening, fuzzer, MAX_EXCHANGES), MAX_EXCHANGES);
        }
      });
    }
    for (const { service, most } of AUTOMATA) {
      it(`${name}: no loop with ${service.name} (seed ${SEED})`, () => {
        const server = new Server(hasIds, access);
        const fuzzer = new Fuzzer(SEED);
        for (let i = 0; i < OPENINGS; i++) {
          assertLessOrEqual(exchange(server, service, openingOf(service, fuzzer), fuzzer, most), most);
        }
      });
    }
  }

  for (const first of SERVERS) {
    for (const second of SERVERS) {
      it(`no loop between ${first.name} and ${second.name} (seed ${SEED})`, () => {
        const server = new Server(first.hasIds, first.access);
        const other = new Server(second.hasIds, second.access);
        const fuzzer = new Fuzzer(SEED);
        const service = { name: second.name, reply: (datagram: Uint8Array) => other.reply(datagram) };
        for (let i = 0; i < OPENINGS; i++) {
          assertLessOrEqual(
            exchange(server, service, openingOf(service, fuzzer), fuzzer, MAX_EXCHANGES),
            MAX_EXCHANGES,
          );
        }
      });
    }
  }
});

describe("a server and a service that happens to send requests", () => {
  for (const { name, hasIds, access, answers } of SERVERS) {
    for (const service of ASKING_SERVICES) {
      /** Begins exchanges with each request so many times, and returns how many datagrams the server sent in each. */
      const exchanges = (times: number) => {
        const server = new Server(hasIds, access);
        const openings = Array.from({ length: times }, () => REQUESTS).flat();
        return openings.map((opening) => exchange(server, service, opening, new Fuzzer(SEED), MAX_EXCHANGES_BY_ERRORS));
      };
      if (answers === "nothing") {
        it(`${name}: not even a beginning with ${service.name}`, () => {
          assertEquals(new Set(exchanges(100)), new Set([0]));
        });
      } else if (answers === "ids" && service !== ASKING_FOR_NONE) {
        // Known, and in SECURITY.md: such a service cannot be told from a client. What keeps it out is shown here, too.
        it(`${name}: for as long as there are ids, it is a client: ${service.name}`, () => {
          assertGreater(Math.max(...exchanges(1)), MAX_EXCHANGES_BY_ERRORS);
        });
      } else {
        it(`${name}: its errors keep no loop going with ${service.name}`, () => {
          const longest = Math.max(...exchanges(100));
          assertLessOrEqual(longest, MAX_EXCHANGES_BY_ERRORS);
          assertGreater(longest, ECHOING_SERVICES.includes(service) ? 0 : 1, "honest clients are told of an error");
        });
      }
    }
  }
});
