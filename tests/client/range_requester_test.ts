import { setImmediate } from "node:timers";
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { NoResponseError, RefusedError, UnavailableError } from "../../client.ts";
import { PrefetchedIds } from "../../lib/client/_prefetched_ids.ts";
import { RangeRequester } from "../../lib/client/_range_requester.ts";
import { WireStatus } from "../../lib/wire/protocol.ts";
import { HeldTime, turn } from "../held_time.ts";
import { FakeNetwork, type SentRequest } from "./fake_network.ts";
import { grant, refuse } from "./scripted_server.ts";

/** Calls on a client without a network: when each was made, and what became of it when. */
class Calls {
  readonly ended: string[] = [];
  readonly ids: bigint[] = [];
  readonly #time: HeldTime;

  constructor(time: HeldTime) {
    this.#time = time;
  }

  /** Takes note of the end of a call that begins now. */
  watch(name: string, call: Promise<bigint>): void {
    const note = (how: string) => this.ended.push(`${name} ${how} at ${this.#time.ms}`);
    call.then((id) => (this.ids.push(id), note("got an id")), (error) => note(error.name));
  }
}

/** A requester on a network of the test's own, with time that the test owns. */
function setUp({ prefetch = 50, timeoutMs = 1000, retransmitMs = 200, ports = [9999] } = {}) {
  const time = new HeldTime();
  const network = new FakeNetwork(time);
  const servers = { hostname: "192.0.2.1", ports };
  const requester = new RangeRequester({ servers, retransmitMs, timeoutMs, key: undefined, cluster: "" }, network.open);
  const ids = new PrefetchedIds(requester, { prefetch, timeoutMs, maxAgeMs: 1000 });
  const { sent } = network;
  const answer = (datagram: Uint8Array, from?: number) => network.answer(sent[0], datagram, from);
  const calls = new Calls(time);
  const nextId = (name: string) => calls.watch(name, new Promise(ids.wait));
  return { time, sent, requester, ids, answer, calls, nextId };
}

/** What became of the requests: when each was sent, and with which tag, by a letter. */
function transmissions(sent: SentRequest[]): string[] {
  const tags = [...new Set(sent.map(({ tagHigh }) => tagHigh))];
  return sent.map(({ tagHigh, atMs }) => `${"abcdefgh"[tags.indexOf(tagHigh)]} at ${atMs}`);
}

describe("RangeRequester, with calls that share a request", () => {
  it("fails each at its own time-out where the server is silent", async () => {
    const { time, sent, calls, nextId } = setUp();
    using _ = time;
    nextId("first");
    await time.goTo(300);
    nextId("second");
    await time.goTo(900);
    nextId("third");
    await time.goTo(5000);
    assertEquals(calls.ended, [
      "first NoResponseError at 1000",
      "second NoResponseError at 1300",
      "third NoResponseError at 1900",
    ]);
    assertEquals(transmissions(sent), ["a at 0", "a at 200", "a at 600", "a at 1400"], "one request for all three");
    assertEquals(time.count, 0);
  });

  it("gives the later ones the ids of a request that came too late for the first", async () => {
    const { time, sent, answer, calls, nextId } = setUp();
    using _ = time;
    nextId("first");
    await time.goTo(500);
    nextId("second");
    await time.goTo(1100);
    assert(answer(grant(sent[0], 7n)));
    await turn();
    assertEquals(calls.ended, ["first NoResponseError at 1000", "second got an id at 1100"]);
  });

  it("fails only those whose time-out the server's wait exceeds", async () => {
    const { time, sent, answer, calls, nextId } = setUp();
    using _ = time;
    nextId("first");
    await time.goTo(600);
    nextId("second");
    answer(refuse(sent[0], WireStatus.OUT_OF_IDS, 700));
    await turn();
    assertEquals(calls.ended, ["first UnavailableError at 600"]);
    await time.goTo(1300);
    assertEquals(transmissions(sent).at(-1), "a at 1300");
    answer(grant(sent[sent.length - 1], 7n));
    await turn();
    assertEquals(calls.ended.slice(1), ["second got an id at 1300"]);
  });

  it("fails all at once where the server refuses for good", async () => {
    const { time, sent, answer, calls, nextId } = setUp();
    using _ = time;
    nextId("first");
    nextId("second");
    answer(refuse(sent[0], WireStatus.OUT_OF_TIME, 0));
    await turn();
    assertEquals(calls.ended, ["first RefusedError at 0", "second RefusedError at 0"]);
  });

  it("ends at each one's time-out where the server grants one id at a time, slowly", async () => {
    const { time, sent, answer, calls, nextId } = setUp({ retransmitMs: 60_000 });
    using _ = time;
    for (let i = 0; i < 10; i++) nextId(`call ${i}`);
    for (let ms = 300; ms < 6000; ms += 300) {
      await time.goTo(ms);
      if (sent.length * 300 === ms) answer(grant(sent[sent.length - 1], BigInt(ms), { granted: 1 }));
      await turn();
    }
    assertEquals(calls.ended.slice(0, 3), [0, 1, 2].map((i) => `call ${i} got an id at ${(i + 1) * 300}`));
    assertEquals(calls.ended.slice(3), [3, 4, 5, 6, 7, 8, 9].map((i) => `call ${i} NoResponseError at 1000`));
    assertEquals([sent.length, time.count], [4, 0]);
  });

  it("ends at each one's time-out where the server is out of ids again and again", async () => {
    const { time, sent, answer, calls, nextId } = setUp();
    using _ = time;
    nextId("first");
    for (let answered = 0; answered < sent.length; answered++) {
      if (answered === 1) nextId("second");
      await time.goTo(time.ms + 50);
      answer(refuse(sent[answered], WireStatus.OUT_OF_IDS, 50));
      await turn();
      await time.goTo(time.ms + 50);
    }
    assertEquals(calls.ended, ["first UnavailableError at 950", "second UnavailableError at 1050"]);
  });
});

describe("RangeRequester, responses", () => {
  const pending = (requester: RangeRequester, count = 1) => {
    const ends: unknown[] = [];
    requester.begin(count, ({ first }) => ends.push(first), (error) => ends.push(error));
    return ends;
  };

  it("takes one only from a port that the request went to, also after the next port was asked", async () => {
    const { time, sent, answer, requester } = setUp({ ports: [1, 2, 3] });
    using _ = time;
    const ends = pending(requester);
    assert(!answer(grant(sent[0], 66n), 2));
    await time.goTo(200);
    assertEquals(sent.map(({ port }) => port), [1, 2]);
    assert(!answer(grant(sent[0], 66n), 3));
    assert(!answer(grant(sent[0], 66n), 9999));
    assert(answer(grant(sent[0], 7n), 1));
    assertEquals(ends, [7n]);
    assert(!answer(grant(sent[0], 8n), 2), "it has its response");
  });

  it("takes no ids that it took before, exactly or in part, and says from which server they came", () => {
    const { time, sent, answer, requester } = setUp();
    using _ = time;
    const ends = [1, 3, 1, 3, 1].map((count) => pending(requester, count));
    const grants: [bigint, bigint][] = [[10n, 1n], [20n, 5n], [10n, 1n], [15n, 5n], [26n, 1n]];
    for (const [i, [first, step]] of grants.entries()) assert(answer(grant(sent[i], first, { step })));
    const told = ends.flat().map((end) => end instanceof Error ? `${end.name}: ${end.message.slice(0, 41)}` : end);
    assertEquals(told, [
      10n,
      20n,
      "RepeatedIdError: 192.0.2.1:9999 granted ids from 10 on, so",
      "RepeatedIdError: 192.0.2.1:9999 granted ids from 15 on, so",
      26n,
    ]);
  });

  it("says what is no response: another tag, another length, another request's, one more", () => {
    const { time, sent, answer, requester } = setUp();
    using _ = time;
    pending(requester);
    assert(!answer(grant({ ...sent[0], tagLow: sent[0].tagLow ^ 1 }, 7n)));
    assert(!answer(grant({ ...sent[0], tagHigh: sent[0].tagHigh ^ 1 }, 7n)));
    assert(!answer(grant(sent[0], 7n).slice(0, 31)));
    assert(!answer(grant(sent[0], 7n, { granted: 2 })));
    assert(answer(grant(sent[0], 7n)));
    assert(!answer(grant(sent[0], 8n)));
  });
});

describe("RangeRequester, its timer", () => {
  it("is gone in the event loop's next turn after the last response", async () => {
    const { time, sent, answer, requester } = setUp();
    using _ = time;
    for (let i = 0; i < 3; i++) {
      requester.begin(1, () => {}, () => {});
      answer(grant(sent[i], BigInt(i)));
    }
    assertEquals([time.count, time.delays.length], [1, 1], "one timer for all");
    await new Promise((resolve) => setImmediate(resolve));
    assertEquals(time.count, 0);
    const errors: Error[] = [];
    requester.begin(1, () => {}, (error) => errors.push(error));
    await time.goTo(10_000);
    assert(errors[0] instanceof NoResponseError);
  });

  it("is gone after an error, too", async () => {
    const { time, sent, answer, requester } = setUp();
    using _ = time;
    const errors: Error[] = [];
    requester.begin(1, () => {}, (error) => errors.push(error));
    answer(refuse(sent[0], WireStatus.BAD_REQUEST, 0));
    await new Promise((resolve) => setImmediate(resolve));
    assert(errors[0] instanceof RefusedError && !(errors[0] instanceof UnavailableError));
    assertEquals(time.count, 0);
  });
});
