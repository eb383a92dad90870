import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { runDeno } from "../../testing/deno_process.ts";
import { FAULTS } from "../uniqueness/faults.ts";
import { SUBJECTS } from "../uniqueness/subjects.ts";

/** Runs the comparison as its task does, and returns the cells of its table: by generator, then by column. */
async function compare(): Promise<Map<string, Map<string, string>>> {
  const { code, stdout, stderr } = await runDeno({ deno: ["task", "--quiet", "compare:uniqueness"] });
  assertEquals(code, 0, stderr);
  const lines = stdout.split("\n").filter((line) => line.startsWith("|"));
  const [columns, , ...rows] = lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  return new Map(rows.map((row) => [row[0], new Map(row.map((cell, i) => [columns[i], cell]))]));
}

describe("the comparison of uniqueness", () => {
  it("measures every generator under every fault, this one without repeats, and can tell repeats", async () => {
    const table = await compare();
    assertEquals([...table.keys()], SUBJECTS.map((subject) => subject.name));
    for (const [name, row] of table) {
      for (const fault of FAULTS) {
        assertMatch(row.get(fault.name) ?? "", /^[0-9]+ of [1-9]|^refused: ./, `${name}, ${fault.name}`);
      }
    }

    const isOurs = (name: string) => name.startsWith("global-id");
    for (const [name, row] of table) {
      if (!isOurs(name)) continue;
      for (const fault of ["restart", "back 5 ms", "back 1 s", "back 1 h", "back 1 s, busy", "more than a tick has"]) {
        assertMatch(row.get(fault) ?? "", /^0 of /, `${name}, ${fault}`);
      }
    }
    for (const fault of ["restart", "back 1 h"]) {
      const repeating = [...table].filter(([name, row]) => !isOurs(name) && row.get(fault)?.includes("repeated"));
      assert(repeating.length > 0, `no generator repeats ids after "${fault}": the fault does not happen`);
    }
  });
});
