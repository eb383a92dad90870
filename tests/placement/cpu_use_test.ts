import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { allowedCpus } from "../../lib/placement/cpus.ts";
import { CpuUse } from "../../lib/placement/cpu_use.ts";
import { until } from "../../testing/within.ts";

describe("CpuUse", () => {
  it("reads 0 the first time, and shares of 0 to 1 from then on", () => {
    const use = new CpuUse();
    assert(use.read().every((share) => share === 0));
    assert(use.read().every((share) => share >= 0 && share <= 1));
  });

  it("reads more than 0.9 of a saturated CPU", async () => {
    const { cpus } = await allowedCpus();
    assert(cpus !== undefined);
    const [cpu] = cpus;
    const script = "while :; do :; done";
    const busy = new Deno.Command("taskset", { args: ["--cpu-list", String(cpu), "sh", "-c", script] }).spawn();
    try {
      const use = new CpuUse();
      use.read();
      await until("it reads more than 0.9", async () => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        return use.read()[cpu] > 0.9;
      });
    } finally {
      busy.kill("SIGKILL");
      await busy.status;
    }
  });

  it("does not know a CPU that the system does not list", () => {
    assertEquals([CpuUse.isKnown([0]), CpuUse.isKnown([0, 100_000])], [true, false]);
  });
});
