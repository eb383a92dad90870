import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { beforeAll, describe, it } from "@std/testing/bdd";
import { TempDir } from "../../testing/temp_dir.ts";

const MODEL = new URL("node.pml", import.meta.url).pathname;
const SHARED = new URL("shared_store.pml", import.meta.url).pathname;

/** As many runs of Spin at a time. */
const PARALLEL = 2;
/** Everything, to the last state: worth the time that the compiler takes to make it fast. */
const THOROUGH = ["-O2", "-m1000000", "-w24"];
/** Until something is found. The sooner Spin turns back, the sooner it is; no trail needs to be longer. */
const BRIEF = ["-O0", "-m350", "-w20"];

/**
 * With all rules in place: at least so many states, of which all steps are reached but for some. The bounds are such
 * that all of them together take some 50 s of one core.
 */
const CONFIGURATIONS: { name: string; options: string[]; states: number; unreached?: RegExp }[] = [
  { name: "two machines, three holders, two ticks", options: ["-DHOLDERS=3", "-DTICKS=2"], states: 1_000_000 },
  { name: "two machines, two holders, three ticks", options: ["-DHOLDERS=2", "-DTICKS=3"], states: 800_000 },
  {
    name: "pools that are in no file",
    options: ["-DHOLDERS=3", "-DTICKS=1", "-DPLACELESS"],
    states: 250_000,
    unreached: /seen_name/, // the order of ids of a tick and one before it: there is none
  },
  {
    name: "each step by itself",
    options: ["-DHOLDERS=2", "-DTICKS=2", "-DLITERAL"],
    states: 3_000_000,
    unreached: / = 0"/, // to forget
  },
  { name: "takeovers", options: ["-DHOLDERS=2", "-DTICKS=2", "-DREPLACE"], states: 3_000_000 },
  { name: "a copied memory", options: ["-DHOLDERS=2", "-DTICKS=2", "-DCOPY"], states: 2_500_000 },
];

/** What Spin says where a claim of the model is broken. */
const CLAIMS = {
  unique: /assertion violated \(\(\w+!=seen_tick\)/,
  order: /assertion violated .*\(\w+<seen_name\)/,
  serving: /assertion violated .*\.mark!=0/,
  "nothing lost": /assertion violated .*==number\)/,
};

const SMALL = ["-DHOLDERS=2", "-DTICKS=2"];
const THREE_HOLDERS = ["-DHOLDERS=3", "-DTICKS=2"];

/** Every rule of the model, but for NODE_LOCK: without that one, no claim is broken. */
const RULES: { rule: string; options: string[]; claim: keyof typeof CLAIMS }[] = [
  { rule: "MUTEX", options: SMALL, claim: "unique" },
  { rule: "SECOND_SLOT", options: SMALL, claim: "unique" },
  { rule: "COMMIT_ORDER", options: SMALL, claim: "nothing lost" },
  { rule: "BELOW_MARK", options: SMALL, claim: "unique" },
  { rule: "NOTHING_KEPT", options: SMALL, claim: "order" },
  { rule: "BOOT", options: [...SMALL, "-DLITERAL"], claim: "order" },
  { rule: "HOLDER", options: SMALL, claim: "unique" },
  { rule: "NOTED", options: [...SMALL, "-DCOPY"], claim: "unique" },
  { rule: "ACKNOWLEDGED", options: SMALL, claim: "unique" },
  { rule: "FROM_MARK", options: SMALL, claim: "unique" },
  { rule: "NEVER_LOWER", options: THREE_HOLDERS, claim: "unique" },
  { rule: "COMPARE", options: SMALL, claim: "unique" },
  { rule: "CLOSE", options: SMALL, claim: "unique" },
  { rule: "STAYS_CLOSED", options: SMALL, claim: "unique" },
  { rule: "LATE_REPLY", options: [...SMALL, "-DREPLACE"], claim: "unique" },
  { rule: "UNUSED_ONLY", options: SMALL, claim: "unique" },
  { rule: "EXACT_MARK", options: THREE_HOLDERS, claim: "unique" },
  { rule: "OWNER_CLOSES", options: [...SMALL, "-DREPLACE"], claim: "serving" },
  { rule: "COMMIT_OPEN", options: [...SMALL, "-DREPLACE"], claim: "serving" },
  { rule: "IN_PLACE", options: ["-DHOLDERS=3", "-DTICKS=1", "-DPLACELESS"], claim: "unique" },
];

const APART = /assertion violated .*first\[/;

/** A store that machines share: with all rules in place, at least so many states. */
const SHARED_CONFIGURATIONS: { name: string; options: string[]; states: number }[] = [
  {
    name: "requests that are late or lost",
    options: ["-DLEAD=1", "-DTIME=4", "-DBEATS=4", "-DHOLDERS=2"],
    states: 3_000_000,
  },
  {
    name: "longer, with a store that answers at once",
    options: ["-DPROMPT", "-DLEAD=1", "-DTIME=4", "-DBEATS=7", "-DHOLDERS=2"],
    states: 3_000_000,
  },
  {
    name: "three holders, with a store that answers at once",
    options: ["-DPROMPT", "-DTIME=3", "-DBEATS=5", "-DHOLDERS=3"],
    states: 5_000_000,
  },
];

const LATE_AHEAD = ["-DLEAD=1", "-DTIME=4", "-DBEATS=4", "-DHOLDERS=2"];
const LONGER = ["-DPROMPT", "-DLEAD=1", "-DTIME=4", "-DBEATS=7", "-DHOLDERS=2"];
const THREE = ["-DPROMPT", "-DTIME=3", "-DBEATS=5", "-DHOLDERS=3"];

/** Every rule for such a store. Without it, two holders own a tick both, within bounds that are checked whole above. */
const SHARED_RULES: { rule: string; options: string[] }[] = [
  { rule: "SETTLE", options: THREE },
  { rule: "AFTER", options: THREE },
  { rule: "ON_RECORD", options: LATE_AHEAD },
  { rule: "WAIT", options: LONGER },
  { rule: "STILL_WAITS", options: LONGER },
  { rule: "BOUND", options: THREE },
  { rule: "OVER", options: THREE },
  { rule: "NOT_OTHERS", options: LATE_AHEAD },
  { rule: "POOL_LASTS", options: THREE },
  { rule: "CLOSED_LASTS", options: THREE },
  { rule: "OWN_RELEASE", options: THREE },
];

const missing = await Array.fromAsync(["spin", "cc"], async (tool) => await isThere(tool) ? [] : [tool]);

if (missing.flat().length > 0) {
  console.log(
    `The protocol is checked with Spin and a C compiler. Left out, for want of: ${missing.flat().join(", ")}`,
  );
} else {
  describe("the model of a node", () => {
    const outputs = new Map<string, string>();

    beforeAll(async () => {
      await using temp = await TempDir.make();
      const thorough = (model: string) => ({ name, options }: { name: string; options: string[] }) => ({
        ...{ model, name, options, effort: THOROUGH },
      });
      const without = (model: string) => ({ rule, options }: { rule: string; options: string[] }) => ({
        ...{ model, name: rule, options: [...options, `-DWITHOUT=${rule}`], effort: BRIEF },
      });
      // The longest first.
      const jobs = [
        ...SHARED_CONFIGURATIONS.map(thorough(SHARED)),
        ...CONFIGURATIONS.toReversed().map(thorough(MODEL)),
        ...SHARED_RULES.map(without(SHARED)),
        ...RULES.map(without(MODEL)),
      ];
      await Promise.all(Array.from({ length: PARALLEL }, async () => {
        for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
          const directory = `${temp.path}/${job.name.replaceAll(" ", "_")}`;
          await Deno.mkdir(directory);
          outputs.set(job.name, await check(job.model, directory, job.options, job.effort));
        }
      }));
    });

    for (const { name, states, unreached = /^$/ } of CONFIGURATIONS) {
      it(`keeps all claims: ${name}`, () => {
        const output = outputs.get(name) ?? "";
        assertMatch(output, /errors: 0\n/);
        // Nothing was left out for want of depth, memory or time.
        assert(!/max search depth|out of memory|memory limit|Interrupted|not completed/.test(output), output);
        const [, stored] = output.match(/(\d+) states, stored/) ?? [];
        assertGreater(Number(stored), states, output);
      });

      it(`reaches every step: ${name}`, () => {
        const lines = (outputs.get(name) ?? "").split("\n").filter((line) => /node\.pml:\d+, state/.test(line));
        // No process but the last one ends.
        assertEquals(lines.filter((line) => !line.includes('"-end-"') && !unreached.test(line)), []);
      });
    }

    for (const { rule, claim } of RULES) {
      it(`without ${rule}, breaks the claim "${claim}"`, () => {
        assertMatch(outputs.get(rule) ?? "", CLAIMS[claim]);
      });
    }

    for (const { name, states } of SHARED_CONFIGURATIONS) {
      it(`keeps holders of a store that machines share apart: ${name}`, () => {
        const output = outputs.get(name) ?? "";
        assertMatch(output, /errors: 0\n/);
        assert(!/max search depth|out of memory|memory limit|Interrupted|not completed/.test(output), output);
        const [, stored] = output.match(/(\d+) states, stored/) ?? [];
        assertGreater(Number(stored), states, output);
      });
    }

    for (const { rule } of SHARED_RULES) {
      it(`without ${rule}, gives two holders a tick both`, () => void assertMatch(outputs.get(rule) ?? "", APART));
    }

    for (const [model, rules] of [[MODEL, RULES], [SHARED, SHARED_RULES]] as const) {
      it(`has no rule that is not tried: ${model.split("/").at(-1)}`, async () => {
        const source = await Deno.readTextFile(model);
        const defined = [...source.matchAll(/^#define ([A-Z_]+) +\d+ +\/\*/gm)].map(([, name]) => name);
        const tried: string[] = rules.map(({ rule }) => rule);
        const bounds = ["TICKS", "FIRST", "HOLDERS", "NUMBERS", "FRESH", "TIME", "BACKS", "BEATS", "LEAD"];
        assertEquals(defined.filter((name) => ![...tried, ...bounds, "NODE_LOCK"].includes(name)), []);
      });
    }
  });
}

/** Makes a verifier of the model, runs it, and returns what it prints. */
async function check(model: string, cwd: string, options: string[], [optimize, ...effort]: string[]): Promise<string> {
  await run("spin", ["-a", ...options, model], cwd);
  // Safety only: claims are assertions and end states. Partial orders reduce nothing here, where all is shared.
  await run(
    "cc",
    [optimize, "-DSAFETY", "-DNOREDUCE", "-DNOCOMP", "-DNOFAIR", "-DMEMLIM=4000", "-o", "pan", "pan.c"],
    cwd,
  );
  return await run("./pan", effort, cwd);
}

async function run(command: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, `${command} ${args.join(" ")}\n${output}`);
  return output;
}

async function isThere(tool: string): Promise<boolean> {
  try {
    await new Deno.Command(tool, { args: ["--version"], stdout: "null", stderr: "null" }).output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
