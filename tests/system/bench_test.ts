import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import benchConfig from "../../bench/deno.json" with { type: "json" };
import config from "../../deno.json" with { type: "json" };
import { runDeno } from "../../testing/deno_process.ts";

/** Runs a program of bench/ as its task does, and returns the lines it prints. */
async function run(options: { permissions?: string[]; program: string; args: number[] }): Promise<string[]> {
  const { permissions = [], ...rest } = options;
  const deno = ["run", "--quiet", "--config", "deno.json", ...permissions];
  const { code, stdout, stderr } = await runDeno({ deno, ...rest });
  assertEquals(code, 0, stderr);
  return stdout.trim().split("\n");
}

/** The sums at the beginning of a line of a table. */
function sums(line: string): { ok: number; error: number } {
  const [, ok, error] = line.match(/^ok: ([0-9]+), error: ([0-9]+)/) ?? [];
  return { ok: Number(ok), error: Number(error) };
}

describe("the tables of the benchmarks", () => {
  it("simple: all ids that a second has, and errors from then on", async () => {
    const lines = await run({ program: "bench/simple_table.ts", args: [2] });
    assertEquals(lines.length, 2);
    for (const line of lines) {
      assertMatch(line, /^ok: [0-9]+, error: [0-9]+$/);
      assert(sums(line).ok <= 131_072 && sums(line).ok > 0, line);
    }
  });

  it("UDP: as many clients as workers, with one and with 64 requests in flight", async () => {
    const lines = await run({ permissions: ["-P=bench"], program: "bench/udp_table.ts", args: [2, 1] });
    assertEquals(lines.filter((line) => line.startsWith("#")), [
      "# workers: 2, clients: 2, in flight a client: 1",
      "# workers: 2, clients: 2, in flight a client: 64",
    ]);
    const rows = lines.filter((line) => !line.startsWith("#"));
    assertEquals(rows.length, 2);
    for (const row of rows) {
      assertMatch(row, /^ok: [0-9]+, error: [0-9]+; ok: \[[0-9]+, [0-9]+\], error: \[[0-9]+, [0-9]+\]$/);
      // Clients count by their own clock reads, so that an id of a second's end may be counted in the next one.
      assert(sums(row).ok > 0 && sums(row).ok < 2 * 131_072, row);
    }
  });
});

describe("bench/deno.json", () => {
  it("has the same versions of what the library imports, and the same compiler options", () => {
    const versions: Record<string, string> = config.imports;
    for (const [name, version] of Object.entries(benchConfig.imports)) assertEquals(version, versions[name] ?? version);
    assertEquals(benchConfig.compilerOptions, config.compilerOptions);
  });
});
