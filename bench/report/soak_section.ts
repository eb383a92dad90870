import type { Figures } from "./figures.ts";
import { formatNumber } from "./format.ts";
import { memoryOf } from "./process_stats.ts";
import { loadShapes, runLoads } from "./run_loads.ts";
import { type Section, subject } from "./section.ts";

const WORKERS = 2;
const IN_FLIGHT = 64;
/** A round takes as long as so many of other subjects. */
const LENGTH = 20;
const ROW = "global-id, full load";

/** The figures of a round, and the heads of their columns. */
const COLUMNS: Record<string, string> = {
  repliesPerSecond: "replies/s",
  lost: "lost",
  supervisorRssMib: "supervisor, resident",
  supervisorOwnMib: "not from a file",
  workerRssMib: "a worker, resident",
  workerOwnMib: "not from a file",
};

/** The memory of a server under full load for a long time. */
export const SOAK: Section = {
  name: "soak",
  title: "Soak: memory under full load",
  about:
    `One server with two workers, ${IN_FLIGHT} requests in flight, a load process on the CPU of each. A row is a ` +
    `round, after which memory is measured, in MiB; a round is ${LENGTH} times as long here. For an hour: ` +
    `\`--only soak --rounds 60\`.`,

  subjects: (isQuick) => [subject(ROW, async (lab) => {
    const target = await lab.own({ layout: "default", workers: WORKERS });
    const seconds = lab.options.seconds * (isQuick ? 1 : LENGTH);
    const { sample } = await runLoads(lab, target, loadShapes(lab, WORKERS, IN_FLIGHT), { seconds });
    const [supervisor, worker] = [await memoryOf(target.own.server.pid), await memoryOf(target.own.workerPids[0])];
    return {
      repliesPerSecond: sample.repliesPerSecond,
      lost: sample.lost,
      supervisorRssMib: supervisor.rssMib,
      supervisorOwnMib: supervisor.ownMib,
      workerRssMib: worker.rssMib,
      workerOwnMib: worker.ownMib,
    };
  })],

  show(figures) {
    const rounds = (name: string) => roundsOf(figures, name);
    const numbers = rounds("workerRssMib").map((_, i) => `round ${i + 1}`);
    return {
      tables: [{
        columns: ["", ...Object.values(COLUMNS)],
        rows: numbers.map((number, i) => [
          number,
          ...Object.keys(COLUMNS).map((name) => formatNumber(rounds(name)[i])),
        ]),
      }],
      panels: [{
        title: "Resident memory, in MiB",
        categories: numbers,
        series: [
          { name: "supervisor", values: rounds("supervisorRssMib") },
          { name: "a worker", values: rounds("workerRssMib") },
        ],
      }],
    };
  },
};

function roundsOf(figures: Figures, name: string): number[] {
  return figures.of(ROW, name)?.rounds ?? [];
}
