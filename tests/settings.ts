/**
 * What the environment says about how thorough the tests are to be.
 *
 *     SEED=7 deno task test tests/wire
 *
 * A test that makes its inputs at random has the seed in its name, so that this brings back a failure.
 */

/**
 * Whether to do everything (`deno task test:all`), however long it takes; otherwise, what shows the same in fewer
 * rounds.
 */
export const isFull: boolean = read("FULL") === "1";

/** Where random inputs begin: always the same ones, but new ones each time where {@linkcode isFull}. */
export const SEED: number = Number(read("SEED") ?? (isFull ? newSeed() : 1));

/** A seed of 31 bits that nobody has tried before. */
export function newSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
}

/** A variable of the environment; `undefined` if it is not there, or not permitted to be read. */
function read(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}
