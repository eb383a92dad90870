/**
 * What keeps ids unique, broken one rule at a time: each mutation of the code must make the test named beside it fail. It shows
 * that the tests would notice if the rule were not there.
 */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { TempDir } from "../temp_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const GENERATOR = "lib/id/id_generator.ts";
const HOLDER = "lib/reservation/holder.ts";
const RULES = "tests/id/id_generator_test.ts";
const RESERVED = "tests/id/reserved_generator_test.ts";
const PROPERTIES = "tests/reservation/uniqueness_property_test.ts";
const POOLED = "tests/id/pooled_generator_test.ts";
const SHARED_POOL = "lib/node/shared_sequence_pool.ts";
const SHARED_POOLS = "tests/node/shared_sequence_pool_test.ts";
const HOLDERS = "tests/reservation/holder_test.ts";

/** What the tests named here need. */
const COPIED = [
  ...["deno.json", "deno.lock", "mod.ts", "lib", "links"],
  ...["tests/id", "tests/reservation", "tests/node", "tests/temp_dir.ts", "tests/within.ts"],
];

interface Mutation {
  rule: string;
  file: string;
  from: string;
  to: string;
  killer: string;
}

const MUTATIONS: Mutation[] = [
  {
    rule: "1: the clock is not behind the epoch",
    file: GENERATOR,
    from: "if (!(tick >= 0) || tick < this.#tick) {",
    to: "if (tick < this.#tick) {",
    killer: RULES,
  },
  {
    rule: "2: no tick before the last one used",
    file: GENERATOR,
    from: "if (!(tick >= 0) || tick < this.#tick) {",
    to: "if (!(tick >= 0)) {",
    killer: RULES,
  },
  {
    rule: "3: no tick past the layout's last",
    file: GENERATOR,
    from: "if (tick > layout.maxTick) return",
    to: "if (tick > layout.maxTick + 1) return",
    killer: RULES,
  },
  {
    rule: "3: no tick at the mark",
    file: GENERATOR,
    from: "if (tick >= this.#endTick) return",
    to: "if (tick > this.#endTick) return",
    killer: PROPERTIES,
  },
  {
    rule: "3: the mark is never lowered",
    file: GENERATOR,
    from: "if (endTick > this.#endTick && !this.#isClosed)",
    to: "if (!this.#isClosed)",
    killer: RESERVED,
  },
  {
    rule: "4: no sequence number past the last",
    file: GENERATOR,
    from: "if (this.#sequence >= this.#endSequence) {",
    to: "if (this.#sequence > this.#endSequence) {",
    killer: RULES,
  },
  {
    rule: "4: a range ends with the tick's last sequence number",
    file: GENERATOR,
    from: "Math.ceil((this.#endSequence - sequence) / subnodeCount)",
    to: "Math.ceil((this.#endSequence + 1 - sequence) / subnodeCount)",
    killer: RULES,
  },
  {
    rule: "4: sequence numbers go in steps of the number of subnodes",
    file: GENERATOR,
    from: "this.#sequence = sequence + count * subnodeCount;",
    to: "this.#sequence = sequence + count;",
    killer: RULES,
  },
  {
    rule: "4: and begin with the subnode's own",
    file: GENERATOR,
    from: "this.#sequence = this.subnodeId;",
    to: "this.#sequence = 0;",
    killer: PROPERTIES,
  },
  {
    rule: "4: all of a range counts as used",
    file: GENERATOR,
    from: "this.#sequence = sequence + count * subnodeCount;",
    to: "this.#sequence = sequence + subnodeCount;",
    killer: PROPERTIES,
  },
  {
    rule: "4: an array is filled with ids that are a step apart",
    file: GENERATOR,
    from: "first + BigInt(i >>> 0) * step",
    to: "first + BigInt(i >>> 1) * step",
    killer: RULES,
  },
  {
    rule: "5: the tick it was made in counts as used up",
    file: GENERATOR,
    from: "this.#sequence = this.#endSequence = layout.maxSequence + 1;",
    to: "[this.#sequence, this.#endSequence] = [subnodeId, layout.maxSequence + 1];",
    killer: RULES,
  },
  {
    rule: "5: the tick before the first one reserved is not its own",
    file: GENERATOR,
    from: "0, layout.maxTick + 1) - 1;",
    to: "0, layout.maxTick + 1) - 2;",
    killer: PROPERTIES,
  },
  {
    rule: "pool: what was taken in one tick is not for the next",
    file: GENERATOR,
    from: "this.#endSequence = this.#pool === undefined ? layout.maxSequence + 1 : 0;",
    to: "if (this.#pool === undefined) this.#endSequence = layout.maxSequence + 1;",
    killer: PROPERTIES,
  },
  {
    rule: "pool: no tick that another generator has left",
    file: GENERATOR,
    from: "if (lease.tick > this.#tick) return this.#follow(lease.tick, count, now, grant);",
    to: "",
    killer: POOLED,
  },
  {
    rule: "pool: what a process has taken is taken for all",
    file: SHARED_POOL,
    from: "if (wanted > 0) this.#setState(tick, lease.end);",
    to: "if (wanted > 0) this.#setState(tick, lease.end - 1);",
    killer: SHARED_POOLS,
  },
  {
    rule: "pool: one at a time",
    file: SHARED_POOL,
    from: "const code = libc.pthread_mutex_lock(this.#mutex);",
    to: "const code: number = 0;",
    killer: SHARED_POOLS,
  },
  {
    rule: "pool: none of a tick that is over",
    file: SHARED_POOL,
    from: "const wanted = tick < poolTick ? 0 :",
    to: "const wanted =",
    killer: SHARED_POOLS,
  },
  {
    rule: "logical: no more ticks than time passes",
    file: GENERATOR,
    from: "return isUsedUp && this.#logicalWaitMs() <= 0 ?",
    to: "return isUsedUp ?",
    killer: RESERVED,
  },
  {
    rule: "a new holder begins at the mark",
    file: HOLDER,
    from: "const firstTick = found?.mark ?? nowTick + 1;",
    to: "const firstTick = (found?.mark ?? nowTick + 2) - 1;",
    killer: PROPERTIES,
  },
  {
    rule: "a new holder never lowers the mark",
    file: HOLDER,
    from: "mark: Math.max(firstTick, within(wanted, layout))",
    to: "mark: within(wanted, layout)",
    killer: PROPERTIES,
  },
  {
    rule: "a renewal never lowers the mark",
    file: HOLDER,
    from: "if (mark <= this.#record.mark) return;",
    to: "",
    killer: HOLDERS,
  },
  {
    rule: "a late reply does not lower the mark",
    file: HOLDER,
    from: "if (record.mark >= this.#record.mark) this.#record = record;",
    to: "this.#record = record;",
    killer: HOLDERS,
  },
  {
    rule: "what is on record belongs to the holder that is named there",
    file: HOLDER,
    from: "if (found?.holder !== this.#options.name) {",
    to: "if (found === undefined) {",
    killer: PROPERTIES,
  },
  {
    rule: "a mark counts only once it has been written",
    file: HOLDER,
    from: "    if (!await store.compareAndSet(nodeId, this.#record, next)) {",
    to:
      "    const before = this.#record;\n    this.#record = next;\n    if (!await store.compareAndSet(nodeId, before, next)) {",
    killer: PROPERTIES,
  },
];

describe("without the rule, a test fails", () => {
  it("(but with all rules in place, none does)", async () => {
    for (const killer of new Set(MUTATIONS.map(({ killer }) => killer))) {
      const { code, output } = await runTest(killer);
      assertEquals(code, 0, output);
    }
  });

  for (const { rule, file, from, to, killer } of MUTATIONS) {
    it(rule, async () => {
      const { code, output } = await runTest(killer, { file, from, to });
      assert(
        code !== 0 && /\| [0-9]+ passed.*\| [1-9][0-9]* failed/.test(output),
        `${killer} did not notice:\n${output}`,
      );
    });
  }
});

/** Runs a test in a copy of the project, after a mutation. */
async function runTest(test: string, mutation?: { file: string; from: string; to: string }) {
  await using copy = await TempDir.make();
  await copyTree(COPIED, copy.path);
  if (mutation !== undefined) {
    const { file, from, to } = mutation;
    const source = await Deno.readTextFile(ROOT + file);
    assertEquals(source.split(from).length, 2, `${file} has exactly one place that says: ${from}`);
    await Deno.writeTextFile(`${copy.path}/${file}`, source.replace(from, () => to));
  }
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "--no-check",
      "--quiet",
      "--allow-read",
      "--allow-write",
      "--allow-ffi",
      "--allow-run",
      "--fail-fast",
      test,
    ],
    cwd: copy.path,
    env: { NO_COLOR: "1" },
  }).output();
  return { code, output: new TextDecoder().decode(stdout) };
}

async function copyTree(paths: string[], target: string): Promise<void> {
  await Deno.mkdir(`${target}/tests`, { recursive: true });
  const { code } = await new Deno.Command("cp", {
    args: ["-r", "--parents", ...paths, target],
    cwd: ROOT,
  }).output();
  assertEquals(code, 0);
}
