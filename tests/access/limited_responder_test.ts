import { assert, assertEquals, assertExists } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createLimitedResponder } from "../../lib/access/limited_responder.ts";
import { SourceLimit } from "../../lib/access/source_limit.ts";
import { writeBasicRequest, writeRangeRequest } from "../../lib/wire/request.ts";
import { createResponder } from "../../lib/wire/responder.ts";
import { readBasicResponse, readRangeResponse } from "../../lib/wire/response.ts";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";
import { source } from "./sources.ts";

const [a, b] = [source("192.0.2.1"), source("192.0.2.2")];

/** A server that lets every source have 10 ids a tick; 300 ms of the first tick have passed. */
function serve() {
  const clock = new HandClock(DEFAULT_LAYOUT.epochMs + 300);
  const generator = new IdSequencer({ nodeId: 0, clock, reservation: { firstTick: 0, mark: 2 } });
  const limit = new SourceLimit({ idsPerWindow: 10 });
  const respond = createLimitedResponder(createResponder(generator), limit, DEFAULT_LAYOUT, clock);
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
  return { clock, generator, view, respond, askRange, askBasic };
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
