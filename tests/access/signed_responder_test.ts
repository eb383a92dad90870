import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { Mac, timeOf } from "../../lib/access/mac.ts";
import { MAX_AGE_MS, ReplayWindow } from "../../lib/access/replay_window.ts";
import { createSignedResponder } from "../../lib/access/signed_responder.ts";
import { STALE_BURST, STALE_PER_SECOND } from "../../lib/access/stale_answers.ts";
import { SourceAddress } from "../../lib/udp/source_address.ts";
import { writeRangeRequest } from "../../lib/wire/request.ts";
import { createResponder } from "../../lib/wire/responder.ts";
import { HandClock } from "../id/hand_clock.ts";
import { bytes, hex } from "../wire/bytes.ts";
import { keyOf } from "./keys.ts";
import { Random } from "./random.ts";

const KEY = keyOf(7);
const TAG = "89abcdef01234567";
const START_MS = DEFAULT_LAYOUT.epochMs + 0x1234 * 1000 - 500;

/** Where the requests are from does not matter here. */
const SOURCE = new SourceAddress();

const mac = new Mac(KEY);
const random = new Random(5);

/** A server with the key, two seconds after it was started. */
function serve({ cluster, keys = [KEY] }: { cluster?: string; keys?: Uint8Array[] } = {}) {
  const clock = new HandClock(START_MS);
  const respondUnsigned = createResponder(new IdSequencer({ nodeId: 5, clock }), { random: () => 0.5 });
  const window = new ReplayWindow(clock.ms);
  const macs = keys.map((key) => new Mac(key, cluster));
  const respond = createSignedResponder(respondUnsigned, macs, window, clock);
  clock.ms += 2000;

  /** What comes back for a datagram: "" if nothing does. */
  function ask(request: Uint8Array): string {
    const slot = new Uint8Array(64).fill(0xee);
    slot.set(request.subarray(0, 64));
    return hex(slot.subarray(0, respond(new DataView(slot.buffer), Math.min(request.length, 64), SOURCE)));
  }

  /** The next id that there would be for a request without a MAC, if those were answered. */
  function nextId(): string {
    const slot = new Uint8Array(32);
    return hex(slot.subarray(0, respondUnsigned(new DataView(slot.buffer), 1)));
  }

  return { clock, ask, nextId };
}

function request(timeMs: number, count = 3, key = mac): Uint8Array<ArrayBuffer> {
  const datagram = new Uint8Array(48);
  const view = new DataView(datagram.buffer);
  writeRangeRequest(view, count, 0x89abcdef, 0x01234567);
  key.signRequest(view, timeMs, random.word(), random.word());
  return datagram;
}

/** The 32 bytes of a response before its MAC, if that is good. */
function verified(response: string, asked: Uint8Array<ArrayBuffer>): string {
  const data = bytes(response);
  assert(mac.verifyResponse(new DataView(data.buffer), data.length, new DataView(asked.buffer)));
  return response.slice(0, 64);
}

const FIRST_ID = "00" + "00000091a8000005"; // tick 0x1235 << 27, node 5

describe("createSignedResponder", () => {
  it("signs the answer that the request would get unsigned", () => {
    const { clock, ask, nextId } = serve();
    const asked = request(clock.ms);
    assertEquals(
      verified(ask(asked), asked),
      "03" + "00" + "0000" + "00000003" + TAG + "00000091a8000005" + "0000000000000400",
    );
    assertEquals(nextId(), "00" + "00000091a8000c05");
  });

  it("signs errors as well", () => {
    const { clock, ask } = serve();
    ask(request(clock.ms, 2 ** 32 - 1));
    const asked = request(clock.ms);
    assertEquals(
      verified(ask(asked), asked),
      "03" + "01" + "0000" + "00000000" + TAG + "00000000000001f4" + "0000000000000000",
    );
    const bad = request(clock.ms, 0);
    assertEquals(
      verified(ask(bad), bad),
      "03" + "04" + "0000" + "00000000" + TAG + "0000000000000000" + "0000000000000000",
    );
  });

  it("does not answer a request without a good MAC, and spends no id on it", () => {
    const { clock, ask, nextId } = serve();
    const unsigned = new Uint8Array(32);
    writeRangeRequest(new DataView(unsigned.buffer), 3, 1, 2);
    const otherKey = request(clock.ms, 3, new Mac(keyOf(8)));
    for (const datagram of [bytes("00"), bytes("01"), unsigned, otherKey]) assertEquals(ask(datagram), "");
    for (let first = 0; first < 256; first++) {
      for (const length of [0, 1, 9, 32, 47, 48, 49, 64, 1500]) {
        const datagram = new Uint8Array(length);
        if (length > 0) datagram[0] = first;
        assertEquals(ask(datagram), "");
      }
    }
    const good = request(clock.ms);
    for (let bit = 0; bit < 8 * 48; bit++) {
      const datagram = good.slice();
      datagram[bit >> 3] ^= 0x80 >> (bit & 7);
      assertEquals(ask(datagram), "");
    }
    assertEquals(nextId(), FIRST_ID);
  });

  it("answers requests for its own cluster only, also beside a server with the same key and node", () => {
    const { clock, ask, nextId } = serve({ cluster: "a" });
    const other = serve({ cluster: "b" });
    const asked = request(clock.ms, 1, new Mac(KEY, "a"));
    assertEquals([ask(asked) === "", other.ask(asked)], [false, ""]);
    assertEquals([nextId(), other.nextId()], ["00" + "00000091a8000405", FIRST_ID]);
  });

  it("answers with the key of the request, while there are two", () => {
    const next = new Mac(keyOf(8));
    const { clock, ask } = serve({ keys: [KEY, keyOf(8)] });
    for (const [signer, other] of [[mac, next], [next, mac]]) {
      for (const asked of [request(clock.ms, 1, signer), request(0, 1, signer)]) {
        const answer = new DataView(bytes(ask(asked)).buffer);
        assert(signer.verifyResponse(answer, 48, new DataView(asked.buffer)));
        assert(!other.verifyResponse(answer, 48, new DataView(asked.buffer)));
        if (timeOf(new DataView(asked.buffer)) !== 0) assertEquals(ask(asked), "", "answered before");
      }
    }
    assertEquals(ask(request(clock.ms, 1, new Mac(keyOf(9)))), "");
  });

  it("answers a request once, and spends ids on it once", () => {
    const { clock, ask, nextId } = serve();
    const asked = request(clock.ms, 1);
    verified(ask(asked), asked);
    for (const later of [0, 1, 100]) {
      clock.ms += later;
      assertEquals(ask(asked), "");
    }
    assertEquals(nextId(), "00" + "00000091a8000405"); // the second one
  });

  it("tells the time that a stale request should have", () => {
    const { clock, ask, nextId } = serve();
    for (const timeMs of [clock.ms - MAX_AGE_MS - 1, clock.ms + 1001, START_MS, START_MS + 1000, 0, 2 ** 53 - 1]) {
      const asked = request(timeMs);
      assertEquals(
        verified(ask(asked), asked),
        "03" + "06" + "0000" + "00000000" + TAG + clock.ms.toString(16).padStart(16, "0") + "0000000000000000",
      );
    }
    assertEquals(nextId(), FIRST_ID);
    assert(ask(request(clock.ms)).startsWith("0300"));
  });

  it("tells the time once for a captured request, however often it is repeated", () => {
    const { clock, ask } = serve();
    const admitted = request(clock.ms);
    assert(ask(admitted).startsWith("0300"));
    clock.ms += MAX_AGE_MS + 1;
    const old = request(clock.ms - 3_600_000);
    assert(ask(old).startsWith("0306"));
    for (let i = 0; i < 1000; i++) {
      clock.ms += 997;
      assertEquals([ask(admitted), ask(old)], ["", ""]);
    }
  });

  it("tells the time so often a second, whatever was captured, and tells a client with a wrong clock again then", () => {
    const { clock, ask } = serve();
    let told = 0;
    for (let i = 0; i < STALE_BURST + 100; i++) if (ask(request(i)) !== "") told++;
    assertEquals(told, STALE_BURST);
    clock.ms += 1000 / STALE_PER_SECOND;
    const asked = request(clock.ms - 3_600_000);
    assert(verified(ask(asked), asked).startsWith("0306"));
    assert(ask(request(clock.ms)).startsWith("0300"), "fresh requests are not limited");
  });

  it("serves a client that uses the time that it tells, from its start on", () => {
    const { clock, ask } = serve();
    for (const sinceStartMs of [700, 999, 1000, 1500]) { // in the tick after the one in which it was made
      clock.ms = START_MS + sinceStartMs;
      const asked = request(clock.ms - 3_600_000);
      const answer = verified(ask(asked), asked);
      assert(answer.startsWith("0306"));
      clock.ms += 1;
      assert(ask(request(parseInt(answer.slice(32, 48), 16))).startsWith("0300"));
    }
  });

  it("tells how long to wait after its clock has stepped back", () => {
    const { clock, ask } = serve();
    clock.ms = START_MS - 5000;
    const asked = request(clock.ms);
    assertEquals(
      verified(ask(asked), asked),
      "03" + "05" + "0000" + "00000000" + TAG + (5001).toString(16).padStart(16, "0") + "0000000000000000",
    );
  });

  it("does not answer where the wrapped function does not", () => {
    const { clock, ask } = serve();
    const errorResponse = request(clock.ms, 0);
    errorResponse[1] = 1;
    mac.signRequest(new DataView(errorResponse.buffer), clock.ms, 1, 2);
    assertEquals(ask(errorResponse), "");
  });

  it("does not answer a response, so two servers with one key cannot keep each other busy", () => {
    const { clock, ask } = serve();
    const other = serve();
    for (const asked of [request(clock.ms), request(clock.ms, 0), request(0)]) {
      const answer = ask(asked);
      assert(answer !== "");
      assertEquals(other.ask(bytes(answer)), "");
    }
  });
});
