/**
 * Whether property tests only say that a case fails, and do not look for the smallest one that does, which can take
 * minutes: with the argument `--no-shrinking` (`deno test … -- --no-shrinking`).
 */
export const endOnFailure: boolean = Deno.args.includes("--no-shrinking");
