import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { ERRORS_PER_OMISSION, omitsError } from "../../lib/wire/omits_error.ts";
import { createResponder } from "../../lib/wire/responder.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";
import { bytes } from "./bytes.ts";

/** Each number that chance may be, once. */
const CHANCES = Array.from({ length: ERRORS_PER_OMISSION }, (_, i) => i / ERRORS_PER_OMISSION);

/** How many of 64 requests are answered, one for each number that chance may be. */
function answersTo(request: string, mark: number): number {
  const reservation = { firstTick: 0, mark };
  const sequencer = new IdSequencer({ nodeId: 0, clock: new HandClock(DEFAULT_LAYOUT.epochMs), reservation });
  const chances = CHANCES.values();
  const respond = createResponder(sequencer, { random: () => chances.next().value ?? NaN });
  const slot = new Uint8Array(64);
  return CHANCES.filter(() => {
    slot.set(bytes(request));
    return respond(new DataView(slot.buffer), bytes(request).length) > 0;
  }).length;
}

const RANGE = "02 000000 00000001" + "00".repeat(24);
const NO_IDS = "02 000000 00000000" + "00".repeat(24);

describe("omitsError", () => {
  it("is true once in 64 times", () => {
    assertEquals(CHANCES.filter((chance) => omitsError(() => chance)), [0]);
  });

  it("has a responder leave out basic errors and BAD_REQUESTs", () => {
    assertEquals(answersTo("00", 0), ERRORS_PER_OMISSION - 1);
    assertEquals(answersTo(NO_IDS, 1), ERRORS_PER_OMISSION - 1);
  });

  it("has it leave out no ids, and no error that answers a valid request for a range", () => {
    assertEquals(answersTo("00", 1), ERRORS_PER_OMISSION);
    assertEquals(answersTo(RANGE, 1), ERRORS_PER_OMISSION);
    assertEquals(answersTo(RANGE, 0), ERRORS_PER_OMISSION);
  });
});
