/**
 * The simple benchmark, second by second: asks a generator of the default layout for ids as fast as it can, in one
 * process, and counts the ids and the errors.
 *
 *     deno task bench:simple [seconds]
 */
import { IdGenerator, OutOfIdsError } from "../mod.ts";
import { integerArg } from "./integer_arg.ts";

const seconds = integerArg(0, "seconds", 10);

// Read once a call, for the generator and for the table, so that every id is counted in its own second.
let nowMs = Date.now();
const ids = new IdGenerator({ nodeId: 0, clock: { now: () => nowMs } });

// The generator has no ids for the second in which it was made.
let second = Math.floor(nowMs / 1000);
while (Math.floor(Date.now() / 1000) === second);
second++;

for (const end = second + seconds; second < end; second++) {
  let ok = 0;
  let error = 0;
  const endMs = (second + 1) * 1000;
  while ((nowMs = Date.now()) < endMs) {
    try {
      ids.nextId();
      ok++;
    } catch (outOfIds) {
      if (!(outOfIds instanceof OutOfIdsError)) throw outOfIds;
      error++;
    }
  }
  console.log(`ok: ${ok}, error: ${error}`);
}
