import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { parseCpuList } from "../../lib/placement/cpus.ts";

describe("parseCpuList", () => {
  it("reads the list at the end of a line of taskset, in any language", () => {
    assertEquals(parseCpuList("pid 1's current affinity list: 0\n"), [0]);
    assertEquals(parseCpuList("pid 4711's current affinity list: 0,1\n"), [0, 1]);
    assertEquals(parseCpuList("Aktuelle Affinitätsliste von Prozess 12: 0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
  });

  it("returns undefined for any other line", () => {
    assertEquals(parseCpuList("taskset: failed to get pid 4711's affinity: No such process\n"), undefined);
    assertEquals(parseCpuList(""), undefined);
    for (const list of ["3-1", "0-99999999999", "65536", `0,${"9".repeat(400)}`]) {
      assertEquals(parseCpuList(`pid 1's current affinity list: ${list}\n`), undefined);
    }
  });
});
