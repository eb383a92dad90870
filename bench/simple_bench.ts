/**
 * The cost of an id in process: `deno bench`.
 *
 * The layout has more ids than can be taken (2^31 a millisecond), so that this is the cost of ids, not of waiting for
 * them.
 */
import { IdGenerator, IdGrant, IdLayout, OutOfIdsError } from "../mod.ts";

const layout = new IdLayout({ timeBits: 33, sequenceBits: 31, nodeBits: 0, tickMs: 1, epochMs: Date.now() });
const ids = new IdGenerator({ nodeId: 0, layout });
const spent = new IdGenerator({ nodeId: 0, subnodeId: 1, subnodeCount: 2, layout: withoutSequence() });

const number = new BigUint64Array(1);
const words = new Uint32Array(number.buffer);
const batch = new BigUint64Array(1000);
const grant = new IdGrant();
/** Where ids go: V8 would leave out the making of an id that nobody keeps. */
const kept: { id?: unknown } = {};

Deno.bench("floor: Date.now() and a bigint", { group: "one id", baseline: true }, () => {
  words[0] = Date.now();
  kept.id = number[0];
});
Deno.bench("nextId()", { group: "one id" }, () => void (kept.id = ids.nextId()));
Deno.bench("tryRange(1)", { group: "one id" }, () => void ids.tryRange(1, grant));
Deno.bench("crypto.randomUUID()", { group: "one id" }, () => void (kept.id = crypto.randomUUID()));

Deno.bench(
  "nextRange(1000)",
  { group: "1000 ids at once", baseline: true },
  () => void (kept.id = ids.nextRange(1000)),
);
Deno.bench("fill() of 1000", { group: "1000 ids at once" }, () => void ids.fill(batch));

Deno.bench("tryRange() that has none", { group: "out of ids", baseline: true }, () => void spent.tryRange(1, grant));
Deno.bench("nextId() that throws", { group: "out of ids" }, () => {
  try {
    spent.nextId();
  } catch (error) {
    if (!(error instanceof OutOfIdsError)) throw error;
  }
});

/** A layout with one sequence number a tick, of which the second of two subnodes has none. */
function withoutSequence(): IdLayout {
  return new IdLayout({ timeBits: 40, sequenceBits: 0, nodeBits: 0, tickMs: 1000, epochMs: 0 });
}
