import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readBasicResponse, readRangeResponse } from "../../lib/wire/response.ts";
import { bytes } from "./bytes.ts";

const view = (text: string): [DataView, number] => {
  const data = bytes(text);
  return [new DataView(data.buffer), data.length];
};

describe("readBasicResponse", () => {
  it("reads ids of up to 64 bits", () => {
    assertEquals(readBasicResponse(...view("00 ffffffffffffffff")), 2n ** 64n - 1n);
    assertEquals(readBasicResponse(...view("00 0000000000000001")), 1n);
  });

  it("returns undefined for an error and for any other datagram", () => {
    for (const text of ["01", "", "00", "00 00000000000001", "00 0000000000000001 00", "01 0000000000000001"]) {
      assertEquals(readBasicResponse(...view(text)), undefined);
    }
  });
});

describe("readRangeResponse", () => {
  it("reads a grant", () => {
    assertEquals(
      readRangeResponse(...view("02 00 0000 00000003 89abcdef01234567 ffffffffffff0000 0000000000000800")),
      {
        status: 0,
        tagHigh: 0x89abcdef,
        tagLow: 0x01234567,
        granted: 3,
        first: 0xffffffffffff0000n,
        step: 0x800n,
        retryAfterMs: 0,
      },
    );
  });

  it("reads every status with its time", () => {
    for (const status of [1, 2, 3, 4, 5, 6]) {
      const text = `02 0${status} 0000 00000000 0000000100000002 0000000000000258 0000000000000000`;
      assertEquals(readRangeResponse(...view(text)), {
        status: status as 1 | 2 | 3 | 4 | 5 | 6,
        tagHigh: 1,
        tagLow: 2,
        granted: 0,
        first: 0n,
        step: 0n,
        retryAfterMs: 600,
      });
    }
  });

  it("returns undefined for any other datagram", () => {
    for (
      const text of [
        "",
        "01",
        "02 00 0000 00000003 89abcdef01234567 ffffffffffff0000 00000000000008", // cut short
        "02 00 0000 00000003 89abcdef01234567 ffffffffffff0000 0000000000000800 00", // too long
        "03 00 0000 00000003 89abcdef01234567 ffffffffffff0000 0000000000000800", // another message
        "02 00 0001 00000003 89abcdef01234567 ffffffffffff0000 0000000000000800", // reserved byte
        "02 07 0000 00000000 89abcdef01234567 0000000000000000 0000000000000000", // unknown status
        "02 00 0000 00000000 89abcdef01234567 ffffffffffff0000 0000000000000800", // OK, but nothing granted
        "02 01 0000 00000001 89abcdef01234567 ffffffffffff0000 0000000000000000", // not OK, but something granted
        "02 01 0000 00000000 89abcdef01234567 ffffffffffff0000 0000000000000800", // not OK, but a step
        "02 00 0000 00000002 89abcdef01234567 ffffffffffff0000 0000000000000000", // the same id twice
        "02 00 0000 00000002 89abcdef01234567 ffffffffffffffff 0000000000000001", // an id of 65 bits
      ]
    ) {
      assertEquals(readRangeResponse(...view(text)), undefined, text);
    }
  });
});
