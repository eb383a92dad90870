const SOURCES = new URL("./", import.meta.url).pathname;
const TARGET = new URL("../../.tmp/", import.meta.url).pathname;

/** The programs that the benchmark compares with, as paths. */
export interface Reference {
  /** The server in C: see {@linkcode startReferenceServer}. */
  server: string;
  /** The load generator in C: see {@linkcode runLoad}. */
  load: string;
  /** The flooder in C: see `floods_table.ts`. */
  flood: string;
}

/**
 * Compiles the programs with the system's C compiler.
 *
 * @returns Where they are; `undefined` if this is not Linux, or there is no compiler.
 * @throws {Error} If there is one and it fails.
 */
export async function buildReference(): Promise<Reference | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  await Deno.mkdir(TARGET, { recursive: true });
  try {
    return { server: await compile("server"), load: await compile("load"), flood: await compile("flood") };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function compile(name: string): Promise<string> {
  const program = `${TARGET}reference_${name}`;
  // A program that runs cannot be written to, and another process may be building the same.
  const fresh = `${program}.${Deno.pid}`;
  const { success, stderr } = await new Deno.Command("cc", {
    args: ["-std=c11", "-O2", "-Wall", "-Wextra", "-o", fresh, `${SOURCES}${name}.c`],
    stdin: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`cannot compile ${name}.c: ${new TextDecoder().decode(stderr)}`);
  await Deno.rename(fresh, program);
  return program;
}
