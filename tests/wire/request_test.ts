import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { writeBasicRequest, writeRangeRequest } from "../../lib/wire/request.ts";
import { hex } from "./bytes.ts";

const datagram = new Uint8Array(40);

describe("writeBasicRequest", () => {
  it("writes the bytes of the protocol, and no more", () => {
    datagram.fill(0xee);
    const length = writeBasicRequest(new DataView(datagram.buffer));
    assertEquals(hex(datagram.subarray(0, length)), "00");
    assertEquals(hex(datagram.subarray(length)), "ee".repeat(40 - length));
  });
});

describe("writeRangeRequest", () => {
  it("writes the bytes of the protocol, and no more", () => {
    datagram.fill(0xee);
    const length = writeRangeRequest(new DataView(datagram.buffer), 0x80000001, 0x89abcdef, 0x01234567);
    assertEquals(
      hex(datagram.subarray(0, length)),
      "02" + "00" + "0000" + "80000001" + "89abcdef01234567" + "0000000000000000" + "0000000000000000",
    );
    assertEquals(hex(datagram.subarray(length)), "ee".repeat(40 - length));
  });
});
