/**
 * Simulates a cluster of 1,024 nodes for longer than the tests do, with a seed that is new each time unless it is
 * given:
 *
 *     deno task simulate --seed 7 --hours 2
 */
import { integerFlag, readFlags, UsageError } from "../../lib/cli/flags.ts";
import { newSeed } from "../settings.ts";
import { simulate } from "./cluster.ts";

try {
  const flags = readFlags(Deno.args, { string: ["seed", "hours", "nodes"], boolean: [] });
  const seed = integerFlag("seed", flags.seed, { min: 0, max: 2 ** 31 - 1 }) ?? newSeed();
  const hours = integerFlag("hours", flags.hours, { min: 1, max: 24 }) ?? 1;
  const nodes = integerFlag("nodes", flags.nodes, { min: 8, max: 1024 }) ?? 1024;
  const { ids, continued, found, goneBack, unkept, nodeSeconds, recovered, recoverable } = await simulate({
    seed,
    nodes,
    seconds: hours * 3600,
  });
  const [seconds, given, goesOn, taken, back, lost] = [nodeSeconds, ids, continued, found, goneBack, unkept].map((n) =>
    n.toLocaleString("en")
  );
  console.log(
    `seed ${seed}: ${nodes} nodes, ${seconds} node seconds, ${given} ids, none of them twice; ` +
      `${goesOn} times, a server went on with the pool of the one before, and ${taken} times, one took any node; ` +
      `${back} records of shared stores went back, and ${lost} were lost that had not been acknowledged; ` +
      `${recovered} of ${recoverable} nodes recovered`,
  );
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  Deno.exit(2);
}
