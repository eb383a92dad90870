import type { TempDir } from "../../testing/temp_dir.ts";

/** Where Debian's package faketime has the library that steps a process's clock. */
const LIBRARIES = ["x86_64", "aarch64"].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`);

/** The library; `undefined` if it is not installed. */
export const LIBFAKETIME: string | undefined = LIBRARIES.find(exists);

/** Who has a clock that can be stepped. */
export type Stepped = "both" | "supervisor" | "workers";

/** The clocks of a server's processes, which can be stepped while they run. The monotonic clock goes on as it does. */
export class FakedClocks {
  private readonly dir: string;
  private readonly who: Stepped;

  private constructor(dir: string, who: Stepped) {
    this.dir = dir;
    this.who = who;
  }

  static async make(temp: TempDir, who: Stepped): Promise<FakedClocks> {
    const clocks = new FakedClocks(temp.path, who);
    await clocks.step(0);
    // The workers are started through taskset: this one in its place gives them their clock, or takes away the
    // supervisor's.
    const settings = who === "supervisor"
      ? ["unset LD_PRELOAD"]
      : entries(clocks.dir).map((entry) => `export ${entry}`);
    const script = ["#!/bin/sh", ...settings, 'PATH=${PATH#*:} exec taskset "$@"', ""].join("\n");
    await Deno.writeTextFile(`${clocks.dir}/taskset`, script);
    await Deno.chmod(`${clocks.dir}/taskset`, 0o755);
    return clocks;
  }

  /** What the server's environment must be. */
  get env(): Record<string, string> {
    const PATH = `${this.dir}:/usr/local/bin:/usr/bin:/bin`;
    if (this.who === "workers") return { PATH };
    return { PATH, ...Object.fromEntries(entries(this.dir).map((entry) => entry.split("="))) };
  }

  /** Steps the clocks to so many seconds before or after the true time. */
  async step(seconds: number): Promise<void> {
    // Replaced in one piece, since it is read at every look at the clock.
    await Deno.writeTextFile(`${this.dir}/clock.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    await Deno.rename(`${this.dir}/clock.new`, `${this.dir}/clock`);
  }
}

function entries(dir: string): string[] {
  return [
    `LD_PRELOAD=${LIBFAKETIME}`,
    `FAKETIME_TIMESTAMP_FILE=${dir}/clock`,
    "FAKETIME_NO_CACHE=1",
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
  ];
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
