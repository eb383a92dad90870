import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { DEFAULT_LAYOUT, IdLayout } from "../../mod.ts";
import { createResponder } from "../../lib/wire/responder.ts";
import { HandClock } from "../id/hand_clock.ts";
import { bytes, hex } from "./bytes.ts";

const EPOCH_MS = DEFAULT_LAYOUT.epochMs;
const TAG = "0123456789abcdef";

/** Leaves out no error. */
const random = () => 0.5;

/** A responder for node 5, subnode 1 of 2, of the default layout, 0x1234 seconds after its epoch. */
function serve(clock = new HandClock(EPOCH_MS - 1)) {
  const generator = new IdSequencer({ nodeId: 5, subnodeId: 1, subnodeCount: 2, clock });
  clock.ms = EPOCH_MS + 0x1234 * 1000;
  return { clock, generator, respond: createResponder(generator, { random }) };
}

/**
 * Returns the answer to a datagram, as hexadecimal digits: "" for none. The bytes behind the datagram are noise, as in
 * a socket.
 */
function ask(respond: (datagram: DataView, length: number) => number, request: string): string {
  const data = bytes(request);
  const slot = new Uint8Array(64).fill(0xee);
  slot.set(data.subarray(0, 64));
  const length = respond(new DataView(slot.buffer), Math.min(data.length, 64));
  return hex(slot.subarray(0, length));
}

describe("createResponder, against bytes written out by hand", () => {
  it("answers a basic request with an id", () => {
    const { respond } = serve();
    // tick 0x1234 << 27, sequence number 1 << 10, node 5
    assertEquals(ask(respond, "00"), "00" + "00000091a0000405");
    assertEquals(ask(respond, "00"), "00" + "00000091a0000c05");
  });

  it("answers a range request with the first id, the step and the number of ids", () => {
    const { respond } = serve();
    assertEquals(
      ask(respond, `02 00 0000 00000003 ${TAG} 0000000000000000 0000000000000000`),
      "02" + "00" + "0000" + "00000003" + TAG + "00000091a0000405" + "0000000000000800",
    );
    // The next sequence number of this subnode is three steps later: 7 << 10.
    assertEquals(
      ask(respond, `02 00 0000 00000001 ffffffffffffffff 0000000000000000 0000000000000000`),
      "02" + "00" + "0000" + "00000001" + "ffffffffffffffff" + "00000091a0001c05" + "0000000000000800",
    );
  });

  it("grants fewer ids when the tick is nearly used up, then none until the next tick", () => {
    const { respond, clock } = serve();
    assertEquals(
      ask(respond, `02 00 0000 ffffffff ${TAG} 0000000000000000 0000000000000000`),
      "02" + "00" + "0000" + "00010000" + TAG + "00000091a0000405" + "0000000000000800",
    );
    clock.ms += 400;
    assertEquals(
      ask(respond, `02 00 0000 00000001 ${TAG} 0000000000000000 0000000000000000`),
      "02" + "01" + "0000" + "00000000" + TAG + "0000000000000258" + "0000000000000000",
    );
    assertEquals(ask(respond, "00"), "01");
    clock.ms += 600;
    assertEquals(ask(respond, "00"), "00" + "00000091a8000405");
  });

  it("reads the clock anew before it refuses a request", () => {
    let readMs = EPOCH_MS + 0x1233 * 1000;
    const generator = new IdSequencer({ nodeId: 5, clock: { now: () => readMs } });
    let nowMs = readMs;
    const respond = createResponder(generator, { random, readClock: () => readMs !== (readMs = nowMs) });
    assertEquals(ask(respond, "00"), "01", "the tick that it was made in");
    nowMs += 1000;
    assertEquals(ask(respond, "00"), "00" + "00000091a0000005");
    assertEquals(
      ask(respond, `02 00 0000 ffffffff ${TAG} 0000000000000000 0000000000000000`).slice(8, 16),
      "0001ffff",
      "all that are left of it",
    );
    nowMs += 1000;
    assertEquals(ask(respond, "00"), "00" + "00000091a8000005");
  });

  it("grants no more ids than a request may have", () => {
    const { generator } = serve();
    const respond = createResponder(generator, { random, maxCount: 3 });
    for (const [count, granted] of [["00000002", "00000002"], ["00000003", "00000003"], ["ffffffff", "00000003"]]) {
      const range = ask(respond, `02 00 0000 ${count} ${TAG} 0000000000000000 0000000000000000`);
      assertEquals(range.slice(0, 16), "02" + "00" + "0000" + granted);
    }
    // 8 ids of this subnode have been taken: 2 * 8 + 1 is the next sequence number.
    assertEquals(ask(respond, "00"), "00" + "00000091a0004405");
  });

  it("tells that the clock is behind, and by how many ms, in 64 bits", () => {
    const { respond, clock } = serve();
    clock.ms = EPOCH_MS - 0x1_0000_0002;
    assertEquals(
      ask(respond, `02 00 0000 00000001 ${TAG} 0000000000000000 0000000000000000`),
      "02" + "02" + "0000" + "00000000" + TAG + "0000000100000002" + "0000000000000000",
    );
    assertEquals(ask(respond, "00"), "01");
  });

  it("tells that it is out of time", () => {
    const { respond, clock } = serve();
    clock.ms = EPOCH_MS + 2 ** 37 * 1000;
    assertEquals(
      ask(respond, `02 00 0000 00000001 ${TAG} 0000000000000000 0000000000000000`),
      "02" + "03" + "0000" + "00000000" + TAG + "0000000000000000" + "0000000000000000",
    );
    assertEquals(ask(respond, "00"), "01");
  });

  it("refuses a request for no ids, answers none whose reserved bytes are not 0, and spends no id", () => {
    const { respond } = serve();
    const bad = "02" + "04" + "0000" + "00000000" + TAG + "0000000000000000" + "0000000000000000";
    assertEquals(ask(respond, `02 00 0000 00000000 ${TAG} 0000000000000000 0000000000000000`), bad);
    const good = bytes(`02 00 0000 00000001 ${TAG} 0000000000000000 0000000000000000`);
    for (const offset of [1, 2, 3, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]) {
      for (const value of [0x01, 0x80, 0xff]) {
        const request = good.slice();
        request[offset] = value;
        assertEquals(ask(respond, hex(request)), "");
      }
    }
    assertEquals(ask(respond, "00"), "00" + "00000091a0000405");
  });

  it("counts answers, ids, and what is no request", () => {
    const { generator } = serve();
    const counts = new Float64Array(3);
    let chance = 0.5;
    const respond = createResponder(generator, { random: () => chance, counts });
    const range = (count: string, end = "00") => `02 00 0000 ${count} ${TAG}` + "00".repeat(15) + end;
    for (const request of ["00", range("00000005"), range("00000000"), range("00000001", "01"), "01", ""]) {
      ask(respond, request);
    }
    assertEquals([...counts], [3, 6, 3]);
    chance = 0;
    assertEquals(ask(respond, range("00000000")), "", "an error that is left out counts as nothing");
    assertEquals([...counts], [3, 6, 3]);
  });

  it("does not answer any other datagram, and spends no id", () => {
    const { respond } = serve();
    for (let first = 0; first < 256; first++) {
      for (const length of [0, 1, 2, 8, 9, 31, 32, 33, 63, 64, 65, 1500]) {
        const isRequest = first === 0 && length === 1 || first === 2 && length === 32;
        if (isRequest) continue;
        const datagram = new Uint8Array(length);
        if (length > 0) datagram[0] = first;
        assertEquals(ask(respond, hex(datagram)), "", `${length} bytes that begin with ${first}`);
      }
    }
    assertEquals(ask(respond, "00"), "00" + "00000091a0000405");
  });

  it("does not answer a server's errors, so two servers cannot keep each other busy", () => {
    const { respond, clock } = serve();
    const answers = [ask(respond, `02 00 0000 00000000 ${TAG} 0000000000000000 0000000000000000`)];
    clock.ms = EPOCH_MS - 7;
    answers.push(ask(respond, "00"), ask(respond, `02 00 0000 00000001 ${TAG} 0000000000000000 0000000000000000`));
    clock.ms = EPOCH_MS + 0x1234 * 1000;
    for (const answer of answers) {
      assert(answer !== "");
      assertEquals(ask(respond, answer), "");
    }

    // An exchange that begins with a success ends as well.
    for (const request of ["00", `02 00 0000 00000005 ${TAG} 0000000000000000 0000000000000000`]) {
      let datagram = request;
      for (let i = 0; i < 4 && datagram !== ""; i++) datagram = ask(respond, datagram);
      assertEquals(datagram, "");
    }
  });

  it("returns ids of layouts whose fields cross the 32-bit words", () => {
    for (const order of ["sequence-node", "node-sequence"] as const) {
      const layout = new IdLayout({ timeBits: 20, sequenceBits: 24, nodeBits: 20, tickMs: 1000, epochMs: 0, order });
      const clock = new HandClock(0);
      const generator = new IdSequencer({ nodeId: 0xabcde, subnodeId: 2, subnodeCount: 0x10001, layout, clock });
      clock.ms = 0xfedcb * 1000;
      const respond = createResponder(generator, { random });
      for (let i = 0; i < 100; i++) {
        const id = layout.pack({ tick: 0xfedcb, sequence: 2 + i * 0x10001, nodeId: 0xabcde });
        assertEquals(ask(respond, "00"), "00" + id.toString(16).padStart(16, "0"));
      }
      const range = ask(respond, `02 00 0000 00000002 ${TAG} 0000000000000000 0000000000000000`);
      const first = layout.pack({ tick: 0xfedcb, sequence: 2 + 100 * 0x10001, nodeId: 0xabcde });
      const next = layout.pack({ tick: 0xfedcb, sequence: 2 + 101 * 0x10001, nodeId: 0xabcde });
      assert(range.endsWith([first, next - first].map((n) => n.toString(16).padStart(16, "0")).join("")));
    }
  });
});
