/**
 * The wire format, byte by byte: every kind of datagram that clients and servers of this version send. A change here
 * breaks clients and servers of other versions: it needs a new first byte, and an entry in CHANGELOG.md.
 */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Mac } from "../../lib/access/mac.ts";
import { ReplayWindow } from "../../lib/access/replay_window.ts";
import { createSignedResponder } from "../../lib/access/signed_responder.ts";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { SourceAddress } from "../../lib/udp/source_address.ts";
import { SLOT_BYTES } from "../../lib/udp/udp_socket.ts";
import { writeBasicRequest, writeRangeRequest } from "../../lib/wire/request.ts";
import { createResponder } from "../../lib/wire/responder.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";
import { bytes, hex } from "./bytes.ts";

/** The 0x1234th tick of the default layout. */
const NOW_MS = DEFAULT_LAYOUT.epochMs + 0x1234 * 1000;
/** The same time since 1970, which signed requests carry. */
const NOW = "0000016f5eae0320";

const KEY = bytes("dd8ad9f816066dc8c8044c9361628c0305c21f5648eef079f552ec4705db0df8");
const TAG = "89abcdef01234567";
const NONCE = "0f1e2d3c4b5a6978";
const REST = "0000000000000000" + "0000000000000000";

const RANGE_REQUEST = "02" + "00" + "0000" + "00000003" + TAG + REST;
// The MACs are from Python: hmac.new(KEY, context + message, "sha256").digest()[:16].hex()
const REQUEST_MAC = "2235a85e973c59fc13c8ea1fdd5bef28";
const SIGNED_REQUEST = "03" + "00" + "0000" + "00000003" + TAG + NOW + NONCE + REQUEST_MAC;

/** Node 5, which has reserved the ticks up to this one. */
function makeNode(): { clock: HandClock; respond: ReturnType<typeof createResponder> } {
  const clock = new HandClock(NOW_MS);
  const reservation = { firstTick: 0x1234, mark: 0x1235 };
  return { clock, respond: createResponder(new IdSequencer({ nodeId: 5, clock, reservation }), { random: () => 0.5 }) };
}

/** What a function answers to a request. */
function answerOf(respond: (datagram: DataView, length: number) => number, request: string): string {
  const data = new Uint8Array(SLOT_BYTES);
  const length = request.length / 2;
  data.set(bytes(request));
  return hex(data.subarray(0, respond(new DataView(data.buffer), length)));
}

/** What a write function writes. */
function written(write: (datagram: DataView) => number): string {
  const data = new Uint8Array(SLOT_BYTES).fill(0xee);
  return hex(data.subarray(0, write(new DataView(data.buffer))));
}

describe("the wire format, basic", () => {
  it("request, success and error", () => {
    assertEquals(written(writeBasicRequest), "00");
    const { clock, respond } = makeNode();
    assertEquals(answerOf(respond, "00"), "00" + "00000091a0000005");
    clock.ms -= 1000;
    assertEquals(answerOf(respond, "00"), "01");
  });
});

describe("the wire format, range", () => {
  it("request", () => {
    assertEquals(written((datagram) => writeRangeRequest(datagram, 3, 0x89abcdef, 0x01234567)), RANGE_REQUEST);
  });

  it("response with status 0: ok", () => {
    const { respond } = makeNode();
    assertEquals(
      answerOf(respond, RANGE_REQUEST),
      "02" + "00" + "0000" + "00000003" + TAG + "00000091a0000005" + "0000000000000400",
    );
  });

  const refusals: [status: string, meaning: string, offsetMs: number, request: string, retryAfterMs: string][] = [
    ["01", "out of ids", 0, RANGE_REQUEST, "00000000000003e8"],
    ["02", "clock behind", -1000, RANGE_REQUEST, "00000000000003e8"],
    ["03", "out of time", 2 ** 37 * 1000, RANGE_REQUEST, "0000000000000000"],
    ["04", "bad request", 0, RANGE_REQUEST.replace("00000003", "00000000"), "0000000000000000"],
    ["05", "not serving", 1000, RANGE_REQUEST, "0000000000000064"],
  ];
  for (const [status, meaning, offsetMs, request, retryAfterMs] of refusals) {
    it(`response with status ${Number(status)}: ${meaning}`, () => {
      const { clock, respond } = makeNode();
      answerOf(respond, RANGE_REQUEST.replace("00000003", "ffffffff")); // uses up the tick
      clock.ms += offsetMs;
      assertEquals(
        answerOf(respond, request),
        "02" + status + "0000" + "00000000" + TAG + retryAfterMs + "0000000000000000",
      );
    });
  }
});

describe("the wire format, signed", () => {
  const mac = new Mac(KEY);

  /** Node 5 behind a signature, whose replay window began at a time. */
  function makeSignedNode(windowMs: number) {
    const { clock, respond } = makeNode();
    const signed = createSignedResponder(respond, [mac], new ReplayWindow(windowMs), clock);
    const source = new SourceAddress();
    return (datagram: DataView, length: number) => signed(datagram, length, source);
  }

  it("request", () => {
    assertEquals(
      written((datagram) => {
        writeRangeRequest(datagram, 3, 0x89abcdef, 0x01234567);
        return mac.signRequest(datagram, NOW_MS, 0x0f1e2d3c, 0x4b5a6978);
      }),
      SIGNED_REQUEST,
    );
  });

  it("response with status 0: ok", () => {
    assertEquals(
      answerOf(makeSignedNode(NOW_MS - 60_000), SIGNED_REQUEST),
      "03" + "00" + "0000" + "00000003" + TAG + "00000091a0000005" + "0000000000000400" +
        "3385a0fce0c71a1c0efaa395b2c83d9f",
    );
  });

  it("response with status 5: not serving", () => {
    assertEquals(
      answerOf(makeSignedNode(NOW_MS + 500), SIGNED_REQUEST),
      "03" + "05" + "0000" + "00000000" + TAG + "00000000000001f5" + "0000000000000000" +
        "31b613cb5a9aadbea8eb0a303943919e",
    );
  });

  it("response with status 6: stale", () => {
    assertEquals(
      answerOf(makeSignedNode(NOW_MS - 500), SIGNED_REQUEST),
      "03" + "06" + "0000" + "00000000" + TAG + "0000016f5eae0515" + "0000000000000000" +
        "606124e70e52f415bc0e60957787f489",
    );
  });
});
