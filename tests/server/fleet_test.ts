import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { WorkerShare } from "../../lib/server/control_channel.ts";
import { Fleet } from "../../lib/server/fleet.ts";
import { planWorkers } from "../../lib/server/plan_workers.ts";
import { DEFAULTS } from "./serve_defaults.ts";

const SUBNODE: WorkerShare = { kind: "subnode", workerCount: 2, reservation: { firstTick: 100, mark: 104 } };

/** A fleet of two workers that have not been started. */
function makeFleet(share: WorkerShare): Fleet {
  const configs = planWorkers({
    ...{ options: DEFAULTS, backend: "listen-datagram", workerCount: 2, cpus: undefined, share, access: {} },
  });
  return new Fleet({ entryPoint: "", workersPath: "" }, configs, { info: () => {}, warn: () => {} });
}

describe("Fleet", () => {
  it("has used no tick of its reservation before its workers start", () => {
    assertEquals(makeFleet(SUBNODE).firstUnusedTick, 100);
  });

  it("counts the first tick of the reservation as used by a worker that has not reported", () => {
    assertEquals(makeFleet(SUBNODE).usedTick, 100);
  });

  it("hands a new mark to workers that start later", () => {
    const fleet = makeFleet(SUBNODE);
    fleet.setMark(110);
    const reservation = { firstTick: 100, mark: 110 };
    assertEquals(fleet.configs.map(({ share }) => share), [{ ...SUBNODE, reservation }, { ...SUBNODE, reservation }]);
  });

  it("ends without a worker when it is stopped before it starts", async () => {
    const fleet = makeFleet(SUBNODE);
    await fleet.stop();
    await fleet.start();
    await fleet.ended;
  });
});
