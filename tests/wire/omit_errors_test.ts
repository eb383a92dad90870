import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ERRORS_PER_OMISSION, omitErrors } from "../../lib/wire/omit_errors.ts";
import { source } from "../access/sources.ts";
import { bytes } from "./bytes.ts";

const SENDER = source("192.0.2.1");

/** How many of 64 answers are sent, one for each value that chance may have. */
function sentOf(answer: string): number {
  const data = bytes(answer);
  let draws = 0;
  const respond = omitErrors((datagram) => {
    data.forEach((byte, i) => datagram.setUint8(i, byte));
    return data.length;
  }, () => draws++ / ERRORS_PER_OMISSION);
  let sent = 0;
  for (let i = 0; i < ERRORS_PER_OMISSION; i++) {
    if (respond(new DataView(new ArrayBuffer(64)), 1, SENDER) === data.length) sent++;
  }
  return sent;
}

describe("omitErrors", () => {
  it("omits one of 64 basic errors and BAD_REQUESTs", () => {
    assertEquals(sentOf("01"), ERRORS_PER_OMISSION - 1);
    assertEquals(sentOf("02 04" + "00".repeat(30)), ERRORS_PER_OMISSION - 1);
  });

  it("omits no ids, and no error that answers a valid request for a range", () => {
    for (const answer of ["00" + "11".repeat(8), "02 00 0000 00000001" + "11".repeat(24)]) {
      assertEquals(sentOf(answer), ERRORS_PER_OMISSION);
    }
    for (const status of ["01", "02", "03", "05"]) {
      assertEquals(sentOf("02" + status + "00".repeat(30)), ERRORS_PER_OMISSION);
    }
  });
});
