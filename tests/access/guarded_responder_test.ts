import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { COUNT, type CountName, createAccessCounts } from "../../lib/access/access_counts.ts";
import { type AccessOptions, createGuardedResponder } from "../../lib/access/guarded_responder.ts";
import { Mac } from "../../lib/access/mac.ts";
import { ReplayWindow } from "../../lib/access/replay_window.ts";
import { createSignedResponder } from "../../lib/access/signed_responder.ts";
import { SourceTable } from "../../lib/access/source_table.ts";
import { createSourceMemory } from "../../lib/node/source_memory.ts";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { writeBasicRequest, writeRangeRequest } from "../../lib/wire/request.ts";
import { createResponder } from "../../lib/wire/responder.ts";
import { DEFAULT_LAYOUT } from "../../mod.ts";
import { HandClock } from "../id/hand_clock.ts";
import { Random } from "./random.ts";
import { source } from "./sources.ts";

const KEY = new Random(8).bytes(32);
const [friend, stranger] = [source("192.0.2.1"), source("198.51.100.1")];

/** A server with guards, and what it has counted. */
function serve(options: AccessOptions) {
  const clock = new HandClock(DEFAULT_LAYOUT.epochMs + 300);
  const sequencer = new IdSequencer({ nodeId: 0, clock, reservation: { firstTick: 0, mark: 1 } });
  const counts = createAccessCounts();
  const sources = new SourceTable(createSourceMemory(), { idsPerTick: 10, leaseParts: 1, tickMs: 1000 });
  const worker = { sequencer, clock, readClock: () => {}, maxCount: 2 ** 32 - 1, counts, sources };
  const respond = createGuardedResponder(createResponder(sequencer, { random: () => 0.5, counts }), options, worker);
  const view = new DataView(new ArrayBuffer(64));

  /** The counts that are not 0. */
  function counted(): Partial<Record<CountName, number>> {
    return Object.fromEntries(Object.entries(COUNT).map(([name, i]) => [name, counts[i]]).filter(([, n]) => n !== 0));
  }
  return {
    ...{ view, respond, counted },
    askBasic: (from = friend) => respond(view, writeBasicRequest(view), from),
    askRange: (count: number, from = friend) => respond(view, writeRangeRequest(view, count, 0, 1), from),
  };
}

describe("createGuardedResponder", () => {
  it("counts requests that were answered, and their ids", () => {
    const { askBasic, askRange, counted } = serve({});
    askBasic();
    askRange(100);
    askRange(2 ** 32 - 1);
    askRange(5); // there are no ids any more
    assertEquals(counted(), { answered: 4, ids: 131_072 });
  });

  it("counts datagrams that are no requests", () => {
    const { view, respond, counted } = serve({});
    view.setUint8(0, 0x01); // an error of a server
    assertEquals([respond(view, 1, friend), respond(view, 1, friend)], [0, 0]);
    assertEquals(counted(), { noRequest: 2 });
  });

  it("counts datagrams from addresses that the list does not let in, as nothing else", () => {
    const { askBasic, counted } = serve({ allow: ["192.0.2.0/24"] });
    assertEquals([askBasic(friend), askBasic(stranger), askBasic(stranger)], [9, 0, 0]);
    assertEquals(counted(), { answered: 1, ids: 1, refused: 2 });
  });

  it("counts requests of sources without ids", () => {
    const { askRange, counted } = serve({ sourceLimit: { idsPerTick: 10, prefixBits: 56, workers: 1 } });
    assertEquals([askRange(7), askRange(7), askRange(7), askRange(7, stranger)], [32, 32, 32, 32]);
    assertEquals(counted(), { answered: 3, ids: 17, limited: 1 });
  });

  it("counts datagrams without a valid MAC", () => {
    const { view, respond, askBasic, askRange, counted } = serve({ signing: { keysHex: [KEY.toHex()], cluster: "c" } });
    assertEquals([askBasic(), askRange(1)], [0, 0]);
    writeRangeRequest(view, 3, 0, 1);
    new Mac(new Random(9).bytes(32)).signRequest(view, Date.now(), 5, 6);
    assertEquals(respond(view, 48, friend), 0);
    assertEquals(counted(), { unsigned: 3 });
  });
});

describe("createSignedResponder", () => {
  it("counts requests that come again, and those of another time", () => {
    const clock = new HandClock(DEFAULT_LAYOUT.epochMs);
    const counts = createAccessCounts();
    const sequencer = new IdSequencer({ nodeId: 0, clock, reservation: { firstTick: 0, mark: 9 } });
    const window = new ReplayWindow(clock.ms);
    const respond = createSignedResponder(
      createResponder(sequencer, { random: () => 0.5 }),
      [new Mac(KEY)],
      window,
      clock,
      counts,
    );
    clock.ms += 2000;
    const view = new DataView(new ArrayBuffer(64));
    const ask = (timeMs: number) => {
      writeRangeRequest(view, 3, 0, 1);
      new Mac(KEY).signRequest(view, timeMs, 5, 6);
      return respond(view, 48, friend);
    };
    assertEquals([ask(clock.ms), ask(clock.ms), ask(clock.ms)], [48, 0, 0]);
    assertEquals(ask(clock.ms - 3_600_000), 48);
    assertEquals([counts[COUNT.replayed], counts[COUNT.stale]], [2, 1]);
    assertEquals(ask(clock.ms - 3_600_000), 0, "a stale request that was answered");
    assertEquals([counts[COUNT.replayed], counts[COUNT.stale]], [3, 1]);
  });
});
