/**
 * The part of `@std/cli/parse-args` that this project uses, with the types it has on JSR for such a call: names under
 * `string` come back as strings, names under `boolean` as booleans.
 */
export interface ParseOptions<B extends string, S extends string, C extends string> {
  boolean?: readonly B[];
  string?: readonly S[];
  collect?: readonly C[];
  alias?: Partial<Record<B | S, string | readonly string[]>>;
  default?: { [K in B]?: boolean } & { [K in S]?: string };
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  stopEarly?: boolean;
}

export type Args<B extends string, S extends string, C extends string> =
  & { _: (string | number)[] }
  & { [K in B]: boolean }
  & { [K in Exclude<S, C>]?: string }
  & { [K in C]: string[] };

export declare function parseArgs<
  const B extends string = never,
  const S extends string = never,
  const C extends string = never,
>(args: string[], options?: ParseOptions<B, S, C>): Args<B, S, C>;
