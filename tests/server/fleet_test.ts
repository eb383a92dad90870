import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { WorkerShare } from "../../lib/server/control_channel.ts";
import { Fleet } from "../../lib/server/fleet.ts";
import { planWorkers } from "../../lib/server/plan_workers.ts";
import { NODE_DEFAULTS } from "./serve_defaults.ts";

const SUBNODE: WorkerShare = { kind: "subnode", workerCount: 2, reservation: { firstTick: 100, mark: 104 } };

/** A fleet of two workers that have not been started. */
function makeFleet(share: WorkerShare, entryPoint = ""): Fleet {
  const configs = planWorkers({
    ...{ options: NODE_DEFAULTS, backend: "listen-datagram", workerCount: 2, cpus: undefined, share, access: {} },
  });
  return new Fleet({ entryPoint, workersPath: "/dev/null" }, configs, { info: () => {}, warn: () => {} });
}

/** A program that serves nothing, but says what a worker does; to a `ping` only if it is one of these workers. */
function programAnsweringAs(...workers: number[]): string {
  const program = async (workers: number[]) => {
    const say = (message: unknown) => console.log(JSON.stringify(message));
    say({ type: "hello" });
    let worker = -1;
    for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
      for (const message of text.trim().split("\n").map((line) => JSON.parse(line))) {
        if (message.type === "start") {
          worker = message.config.worker;
          say({ type: "ready", port: message.config.port });
        }
        if (message.type === "ping" && workers.includes(worker)) say({ type: "pong" });
        if (message.type === "stop") Deno.exit(0);
      }
    }
  };
  return `data:text/javascript,(${encodeURIComponent(program.toString())})([${workers}])`;
}

describe("Fleet", () => {
  it("answers if all of its workers do", async () => {
    const answersWithin = async (timeoutMs: number, ...workers: number[]) => {
      const fleet = makeFleet(SUBNODE, programAnsweringAs(...workers));
      await fleet.start();
      const answers = [await fleet.answers(timeoutMs), await fleet.answers(timeoutMs)];
      await fleet.stop();
      return answers;
    };
    assertEquals(await answersWithin(30_000, 0, 1), [true, true]);
    assertEquals(await answersWithin(200, 1), [false, false]);
  });

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
