import { assert, assertEquals, assertExists } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createAccessCounts } from "../../lib/access/access_counts.ts";
import { createLimitedResponder } from "../../lib/access/limited_responder.ts";
import { SourceLimit } from "../../lib/access/source_limit.ts";
import { SourceTable } from "../../lib/access/source_table.ts";
import { createSourceMemory } from "../../lib/node/source_memory.ts";
import { writeBasicRequest, writeRangeRequest } from "../../lib/wire/request.ts";
import { createResponder } from "../../lib/wire/responder.ts";
import { readBasicResponse, readRangeResponse } from "../../lib/wire/response.ts";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { type ClockPolicy, DEFAULT_LAYOUT } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";
import { source } from "./sources.ts";

const [a, b] = [source("192.0.2.1"), source("192.0.2.2")];

/** How many ticks are reserved. */
const MARKS: Record<ClockPolicy, number> = { refuse: 2, logical: 9 };

/** A server that lets every source have 10 ids a tick; 300 ms of the first tick have passed. */
function serve(clockPolicy: ClockPolicy = "refuse", maxCount = 1000) {
  const clock = new HandClock(DEFAULT_LAYOUT.epochMs + 300);
  const generator = new IdSequencer({
    nodeId: 0,
    clock,
    clockPolicy,
    reservation: { firstTick: 0, mark: MARKS[clockPolicy] },
  });
  const table = new SourceTable(createSourceMemory(), { idsPerTick: 10, leaseParts: 10, tickMs: 1000 });
  const worker = { sequencer: generator, clock, readClock: () => {}, maxCount, counts: createAccessCounts() };
  let beforeNext = () => {};
  const limit = new SourceLimit(table, { prefixBits: 56 });
  const respondUnlimited = createResponder(generator, { random: () => 0.5 });
  const respond = createLimitedResponder(
    (datagram, length) => {
      beforeNext();
      beforeNext = () => {};
      return respondUnlimited(datagram, length);
    },
    limit,
    { ...worker, readClock: () => worker.readClock() },
  );
  const view = new DataView(new ArrayBuffer(64));

  function askRange(from: typeof a, count: number) {
    const length = respond(view, writeRangeRequest(view, count, 0, 1), from);
    const response = readRangeResponse(view, length);
    assertExists(response);
    return [response.status, response.granted, response.retryAfterMs];
  }
  function askBasic(from: typeof a): boolean {
    return readBasicResponse(view, respond(view, writeBasicRequest(view), from)) !== undefined;
  }
  /** Lets something happen after the next request has been admitted, before it is answered. */
  function respondNext(before: () => void) {
    beforeNext = before;
  }
  return { clock, generator, view, respond, askRange, askBasic, respondNext, worker, table, limit };
}

describe("createLimitedResponder", () => {
  it("grants each source its ids of a tick and no more, by basic and range requests alike", () => {
    const { askRange, askBasic } = serve();
    assertEquals(askRange(a, 4), [0, 4, 0]);
    assert(askBasic(a));
    assertEquals(askRange(a, 1000), [0, 5, 0]);
    assertEquals(askRange(a, 1), [1, 0, 700]);
    assert(!askBasic(a));
    assertEquals(askRange(b, 1000), [0, 10, 0]);
  });

  it("grants as many again when the tick ends, and tells that time before", () => {
    const { clock, askRange } = serve();
    askRange(a, 10);
    const [, , waitMs] = askRange(a, 10);
    clock.ms += waitMs - 1;
    assertEquals(askRange(a, 10), [1, 0, 1]);
    clock.ms += 1;
    assertEquals(askRange(a, 10), [0, 10, 0]);
  });

  it("counts the ids that a source got, not those that it asked for", () => {
    const { clock, generator, askRange } = serve();
    clock.ms += 2000;
    assertEquals(askRange(a, 10), [5, 0, 100]); // nothing is reserved yet
    generator.extendReservation(10);
    assertEquals(askRange(a, 10), [0, 10, 0]);
    assertEquals(askRange(a, 10), [1, 0, 700]);
  });

  it("charges ids to their own tick, if the one of the request ends meanwhile", () => {
    const { worker, limit, askRange, respondNext } = serve();
    askRange(a, 8);
    respondNext(() => worker.clock.ms += 700); // the sequencer reads its clock anew, and goes on to the next tick
    assertEquals(askRange(a, 2), [0, 2, 0]);
    assertEquals(askRange(a, 10), [0, 8, 0]);
    assertEquals(limit.spend(b, 10, 1), 10);
  });

  it("refuses ids of a tick whose share other workers have spent meanwhile", () => {
    const { worker, table, askRange, respondNext } = serve();
    respondNext(() => {
      worker.clock.ms += 700;
      assertEquals(table.lease(0xffff, a.words[3], 9, 1), 9);
    });
    assertEquals(askRange(a, 2), [1, 0, 1000]);
    assertEquals(askRange(b, 2), [0, 2, 0]);
  });

  it("takes from a source's other workers no more than one request can get", () => {
    const { table, askRange, respondNext } = serve("refuse", 4);
    let leased = 0;
    respondNext(() => leased = table.lease(0xffff, a.words[3], 10, 0));
    askRange(a, 2 ** 32 - 1);
    assertEquals(leased, 6);
  });

  it("reads the clock anew if other workers are in a later tick", () => {
    const { worker, table, askRange } = serve();
    table.lease(0xffff, b.words[3], 10, 1);
    let reads = 0;
    worker.readClock = () => {
      reads++;
      worker.clock.ms = DEFAULT_LAYOUT.epochMs + 1001;
    };
    assertEquals([askRange(b, 1), askRange(a, 10), askRange(a, 1)], [[1, 0, 999], [0, 10, 0], [1, 0, 999]]);
    assertEquals(reads, 1);
  });

  it("gives a source its ids with every tick of the clock while the clock is behind the ids", () => {
    const { clock, askRange } = serve("logical");
    clock.ms += 5000;
    assertEquals(askRange(a, 10), [0, 10, 0]);
    clock.ms -= 5000;
    for (let tick = 0; tick < 5; tick++, clock.ms += 1000) {
      assertEquals([askRange(a, 8), askRange(a, 8), askRange(a, 1)], [[0, 8, 0], [0, 2, 0], [1, 0, 700]]);
    }
  });

  it("hands on datagrams that ask for no ids, also from a source without ids", () => {
    const { view, respond, askRange } = serve();
    askRange(a, 10);
    assertEquals(askRange(a, 0), [4, 0, 0]); // a bad request
    for (const [first, length] of [[0x7f, 5], [0x01, 1]]) {
      view.setUint8(0, first);
      assertEquals(respond(view, length, a), 0);
    }
    writeRangeRequest(view, 1, 0, 1);
    view.setUint8(31, 1);
    assertEquals(respond(view, 32, a), 0, "no request, since a reserved byte is not 0");
  });
});
