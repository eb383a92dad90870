import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { IdSequencer } from "../../lib/id/id_sequencer.ts";
import { type ClockPolicy, IdGrant, IdLayout, IdStatus, NodeHeldError } from "../../mod.ts";
import { ReservationHolder } from "../../lib/reservation/holder.ts";
import { HandClock } from "../id/hand_clock.ts";
import { endOnFailure } from "../shrinking.ts";
import { MemorySequencePool } from "../id/memory_sequence_pool.ts";
import { type Fate, FlakyStore } from "./flaky_store.ts";

/** What can happen to a node. */
type Event =
  /** A generator is asked for ids. */
  | { kind: "take"; holder: number; subnode: number; count: number }
  /** All clocks go on; the wall clock may go anywhere besides. */
  | { kind: "time"; passedMs: number; wallMs: number }
  /** A holder renews; what becomes of the change in the store, and whether its generators hear of it. */
  | { kind: "renew"; holder: number; fate: Fate; isHeard: boolean }
  /** The news of a holder's mark reaches one of its generators, late. */
  | { kind: "mark"; holder: number; subnode: number }
  /** Another holder takes the node, whatever becomes of the ones before it: they go on, or were dead long ago. */
  | { kind: "start"; fate: Fate }
  /** One generator is replaced by a new one of the same holder, as a worker that died is. */
  | { kind: "restart"; holder: number; subnode: number }
  /** A holder gives the node back, and with it what its generators have not used, nor ever will. */
  | { kind: "release"; holder: number; fate: Fate }
  /** A change gets to the store that its holder has given up. */
  | { kind: "arrive"; index: number };

const anyIndex = fc.nat({ max: 7 });
/** Which holder, counted from the latest; mostly that one. */
const anyHolder = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: anyIndex });
const anyFate = fc.constantFrom<Fate>("well", "well", "well", "before", "after", "late");
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.record({
      kind: fc.constant("take" as const),
      holder: anyHolder,
      subnode: anyIndex,
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("time" as const),
      passedMs: fc.nat({ max: 2000 }),
      wallMs: fc.oneof(
        { weight: 6, arbitrary: fc.constant(0) },
        { weight: 2, arbitrary: fc.integer({ min: -3, max: 3 }) },
        { weight: 1, arbitrary: fc.integer({ min: -20_000, max: 20_000 }) },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("renew" as const),
      holder: anyHolder,
      fate: anyFate,
      isHeard: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("mark" as const), holder: anyHolder, subnode: anyIndex }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("start" as const), fate: anyFate }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), holder: anyHolder, subnode: anyIndex }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("release" as const), holder: anyHolder, fate: anyFate }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("arrive" as const), index: anyIndex }) },
);

const anyCase = fc.record({
  sequenceBits: fc.nat({ max: 3 }),
  nodeBits: fc.nat({ max: 2 }),
  tickMs: fc.constantFrom(1, 10, 1000),
  order: fc.constantFrom("sequence-node" as const, "node-sequence" as const),
  generatorCount: fc.integer({ min: 1, max: 5 }),
  /** How many sequence numbers the generators of a holder take at least from a pool; 0: each has a subnode instead. */
  leaseSize: fc.nat({ max: 3 }),
  policy: fc.constantFrom<ClockPolicy>("refuse", "logical"),
  events: fc.array(anyEvent, { minLength: 10, maxLength: 120, size: "max" }),
});

/** One holder and its generators, as a supervisor and its workers are. */
interface Party {
  holder: ReservationHolder;
  generators: IdSequencer[];
  pool: MemorySequencePool | undefined;
  /** The last tick that a generator used that is no more. */
  usedTick: number;
  /** Whether its generators give out nothing any more. */
  isOver: boolean;
  /** The highest id of each generator. */
  last: bigint[];
}

/** Runs one case: all ids of all holders are kept, and compared. */
async function run(
  { events, policy, generatorCount, leaseSize, ...widths }: typeof anyCase extends fc.Arbitrary<infer T> ? T : never,
) {
  const layout = new IdLayout({ timeBits: 30, epochMs: 1_000_000, ...widths });
  const nodeId = layout.maxNodeId;
  const clock = new HandClock(layout.epochMs + 100_000);
  const monotonicClock = new HandClock(0);
  const store = new FlakyStore();
  const parties: Party[] = [];
  const seen = new Set<bigint>();

  const generator = (
    { holder, pool }: Pick<Party, "holder" | "pool">,
    index: number,
    firstTick = holder.firstTick,
  ) =>
    new IdSequencer({
      ...{ nodeId, layout, clock, monotonicClock, clockPolicy: policy },
      ...(pool === undefined
        ? { subnodeId: index, subnodeCount: generatorCount, reservation: { firstTick, mark: holder.mark } }
        : { sequencePool: pool }),
    });
  const usedTickOf = ({ generators, usedTick }: Party) => Math.max(usedTick, ...generators.map((ids) => ids.lastTick));
  const hear = ({ holder, pool }: Party, generators: IdSequencer[]) => {
    if (pool !== undefined) pool.mark = Math.max(pool.mark, holder.mark);
    else for (const ids of generators) ids.extendReservation(holder.mark);
  };
  const start = async () => {
    const options = {
      store,
      nodeId,
      layout,
      clock,
      monotonicClock,
      name: `holder ${parties.length} ${seen.size} ${store.changes}`,
    };
    const holder = await ReservationHolder.claim({ ...options, isBehindAllowed: policy === "logical" });
    const { firstTick, mark } = holder;
    const pool = leaseSize === 0 ? undefined : new MemorySequencePool(layout, firstTick, mark, leaseSize);
    const generators = Array.from({ length: generatorCount }, (_, i) => generator({ holder, pool }, i));
    parties.push({
      ...{ holder, generators, pool, usedTick: firstTick - 1, isOver: false, last: generators.map(() => -1n) },
    });
  };
  const tolerate = async (change: Promise<void>) => {
    await change.catch((error) =>
      assert(error instanceof NodeHeldError || /out of reach|got lost/.test(error.message), error)
    );
  };
  const grant = new IdGrant();

  for (const event of [{ kind: "start", fate: "well" } as Event, ...events]) {
    if ("fate" in event) store.fates.splice(0, Infinity, event.fate);
    if (event.kind === "start") {
      await tolerate(start());
      continue;
    }
    // There is a party by now: the first start goes well.
    const party = parties["holder" in event ? parties.length - 1 - event.holder % parties.length : 0];
    const subnode = "subnode" in event ? event.subnode % generatorCount : 0;
    const ids = party.generators[subnode];
    if (event.kind === "time") {
      monotonicClock.ms += event.passedMs;
      clock.ms = Math.max(0, clock.ms + event.passedMs + event.wallMs);
    }
    if (event.kind === "renew") {
      await tolerate(party.holder.renew(usedTickOf(party)));
      if (event.isHeard) hear(party, party.generators);
    }
    if (event.kind === "release") {
      party.isOver = true;
      await tolerate(party.holder.release(usedTickOf(party) + 1));
    }
    if (event.kind === "arrive" && store.lateCount > 0) await store.arrive(event.index % store.lateCount);
    if (event.kind === "mark") hear(party, [ids]);
    if (event.kind === "restart") {
      party.usedTick = usedTickOf(party);
      // The one before may have used whatever its holder had reserved, unless a pool knows what it has used.
      party.generators[subnode] = generator(party, subnode, party.pool ? party.holder.firstTick : party.holder.mark);
    }
    if (event.kind === "take" && !party.isOver && ids.tryRange(event.count, grant) === IdStatus.OK) {
      let id = BigInt(grant.firstHigh) << 32n | BigInt(grant.firstLow);
      for (let i = 0; i < grant.count; i++, id += ids.step) {
        assert(!seen.has(id), `id ${id} was given out twice`);
        seen.add(id);
        assert(id > party.last[subnode], `id ${id} does not ascend`);
        party.last[subnode] = id;
        const { tick, sequence, nodeId: node } = layout.unpack(id);
        assertEquals(node, nodeId);
        if (party.pool === undefined) assertEquals(sequence % generatorCount, subnode);
        assert(tick >= party.holder.firstTick && tick < party.holder.mark, `tick ${tick} is not this holder's`);
      }
    }
  }
  return seen.size;
}

describe("whatever clocks, crashes, holders and the store do", () => {
  it("no id is given out twice, ids ascend, and every id lies in its holder's reservation", async () => {
    let given = 0;
    await fc.assert(
      fc.asyncProperty(anyCase, async (testCase) => {
        given += await run(testCase);
      }),
      { numRuns: 5000, seed: 20_260_101, endOnFailure },
    );
    assert(given > 30_000, `only ${given} ids were given out: the cases prove little`);
  });
});
