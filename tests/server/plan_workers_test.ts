import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { planWorkers, type WorkerPlan } from "../../lib/server/plan_workers.ts";
import { NODE_DEFAULTS } from "./serve_defaults.ts";

const PLAN: WorkerPlan = {
  ...{
    options: NODE_DEFAULTS,
    backend: "reuseport",
    workerCount: 3,
    cpus: [4, 6],
    share: { kind: "pool", path: "/p" },
  },
  access: {},
};

describe("planWorkers", () => {
  it("numbers the workers, and pins them to the CPUs in turn", () => {
    const configs = planWorkers(PLAN);
    assertEquals(configs.map(({ worker, cpu, incomingCpu }) => [worker, cpu, incomingCpu]), [
      [0, 4, 4],
      [1, 6, 6],
      [2, 4, 4],
    ]);
  });

  it("pins no worker without CPUs", () => {
    assertEquals(planWorkers({ ...PLAN, cpus: undefined }).map(({ cpu }) => cpu), [undefined, undefined, undefined]);
  });

  it("gives all workers one port, with listen-datagram one port each", () => {
    const portsOf = (plan: WorkerPlan) => planWorkers(plan).map(({ port }) => port);
    assertEquals(portsOf(PLAN), [9999, 9999, 9999]);
    assertEquals(portsOf({ ...PLAN, backend: "listen-datagram" }), [9999, 10_000, 10_001]);
    const options = { ...NODE_DEFAULTS, port: 0 };
    assertEquals(portsOf({ ...PLAN, backend: "listen-datagram", options }), [0, 0, 0]);
  });

  it("gives every address workers of its own, with the same CPUs and ports", () => {
    const options = { ...NODE_DEFAULTS, hostnames: ["127.0.0.1", "::1"] };
    const planned = planWorkers({ ...PLAN, options, workerCount: 2, backend: "listen-datagram" });
    assertEquals(planned.map(({ worker, hostname, port, cpu }) => [worker, hostname, port, cpu]), [
      [0, "127.0.0.1", 9999, 4],
      [1, "127.0.0.1", 10_000, 6],
      [2, "::1", 9999, 4],
      [3, "::1", 10_000, 6],
    ]);
  });

  it("lets a request have 1/16 of the ids that its worker can take of a tick, at least 1, or as many as one says", () => {
    const maxCountOf = (plan: WorkerPlan) => planWorkers(plan)[0].maxCount;
    const share = { kind: "subnode" as const, workerCount: 3, reservation: { firstTick: 1, mark: 2 } };
    assertEquals(maxCountOf(PLAN), 8192);
    assertEquals(maxCountOf({ ...PLAN, share }), 2730);
    assertEquals(maxCountOf({ ...PLAN, share: { ...share, workerCount: 100_000 } }), 1);
    assertEquals(maxCountOf({ ...PLAN, options: { ...NODE_DEFAULTS, layout: "twitter" } }), 256);
    assertEquals(maxCountOf({ ...PLAN, options: { ...NODE_DEFAULTS, maxCount: 5 }, share }), 5);
  });

  it("gives every worker a reservation of its own", () => {
    const share = { kind: "subnode" as const, workerCount: 3, reservation: { firstTick: 1, mark: 2 } };
    const [first, second] = planWorkers({ ...PLAN, share });
    assertEquals(first.share, second.share);
    assert(first.share !== second.share);
  });
});
