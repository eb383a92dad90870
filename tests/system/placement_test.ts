import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { CpuUse } from "../../lib/placement/cpu_use.ts";
import { cpuTicks, ServerProcess } from "../../testing/server_process.ts";
import { loadCommand } from "./load.ts";
import { twoCpus } from "./two_cpus.ts";

/** Up to this share of the time, a CPU is idle enough for the server to use it too. */
const IDLE = 0.5;

/** So often may the other CPU be idle, looked at once a second, before its worker must have had something to do. */
const IDLE_LOOKS = 5;

/** After so many looks it is clear that other programs leave no CPU idle. */
const MAX_LOOKS = 60;

/** In 1/100 s: what a worker takes only if it answers requests. Without any, it takes 10 in half a minute. */
const WORK_TICKS = 50;

/** Waits until a worker works. It must, once its CPU has been idle for long enough. */
async function worksWhereIdle(worker: number, cpu: number): Promise<void> {
  const before = await cpuTicks(worker);
  const use = new CpuUse();
  use.read();
  let idleLooks = 0;
  for (let look = 0; look < MAX_LOOKS; look++) {
    // To look takes CPU time too: more often, it would leave no CPU idle.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (await cpuTicks(worker) >= before + WORK_TICKS) return;
    if (use.read()[cpu] <= IDLE) idleLooks++;
    assertLess(idleLooks, IDLE_LOOKS, "seconds in which the CPU was idle, and its worker did nothing");
  }
  console.warn("placement_test: the use of an idle CPU is left out, since other programs left none idle");
}

describe("the workers of a server", () => {
  it("are as many as there are CPUs that it may use, each pinned to its own", async () => {
    await using server = await ServerProcess.start();
    const workers = await server.workerPids();
    assertEquals(workers.length, navigator.hardwareConcurrency);
    const lists = await Promise.all(workers.map(async (pid) => {
      const { stdout } = await new Deno.Command("taskset", { args: ["-cp", String(pid)] }).output();
      return new TextDecoder().decode(stdout).trim().split(" ").at(-1) ?? "";
    }));
    for (const list of lists) assertMatch(list, /^[0-9]+$/);
    assertEquals(new Set(lists).size, workers.length);
  });

  (navigator.hardwareConcurrency > 1 ? it : it.skip)(
    "use an idle CPU too when all clients are on another",
    async () => {
      await using server = await ServerProcess.start({ flags: ["--workers", "2"] });
      const [cpu, otherCpu] = await twoCpus();
      const client = loadCommand({ cpu, ports: server.ports, sockets: 8, stdout: "null" }).spawn();
      try {
        const [, otherWorker] = await server.workerPids();
        await worksWhereIdle(otherWorker, otherCpu);
      } finally {
        client.kill("SIGKILL");
        await client.status;
      }
    },
  );
});
