const SOURCES = new URL("./", import.meta.url).pathname;
const TARGET = new URL("../../.tmp/", import.meta.url).pathname;

/** The programs that the benchmark compares with, as paths. */
export interface Reference {
  /** The server in C: see {@linkcode startReferenceServer}. */
  server: string;
  /** The load generator in C: see {@linkcode runLoad}. */
  load: string;
}

/**
 * Compiles the programs with the system's C compiler, if they are not newer than their sources already.
 *
 * @returns Where they are; `undefined` if this is not Linux, or there is no compiler.
 * @throws {Error} If there is one and it fails.
 */
export async function buildReference(): Promise<Reference | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  await Deno.mkdir(TARGET, { recursive: true });
  const changedMs = await lastChangeMs();
  const reference = { server: `${TARGET}reference_server`, load: `${TARGET}reference_load` };
  try {
    await compile("server.c", reference.server, changedMs);
    await compile("load.c", reference.load, changedMs);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return reference;
}

async function compile(source: string, program: string, changedMs: number): Promise<void> {
  if (await modifiedMs(program) > changedMs) return;
  // A program that runs cannot be written to, and another process may be building the same.
  const fresh = `${program}.${Deno.pid}`;
  const { success, stderr } = await new Deno.Command("cc", {
    args: ["-std=c11", "-O2", "-Wall", "-Wextra", "-o", fresh, SOURCES + source],
    stdin: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`cannot compile ${source}: ${new TextDecoder().decode(stderr)}`);
  await Deno.rename(fresh, program);
}

async function lastChangeMs(): Promise<number> {
  let lastMs = 0;
  for await (const { name } of Deno.readDir(SOURCES)) {
    if (/\.[ch]$/.test(name)) lastMs = Math.max(lastMs, await modifiedMs(SOURCES + name));
  }
  return lastMs;
}

/** When a file was last written to; never, if there is none. */
async function modifiedMs(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).mtime?.getTime() ?? -Infinity;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return -Infinity;
    throw error;
  }
}
