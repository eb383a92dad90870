import { sleep } from "../stop.ts";
import type { Sample } from "./figures.ts";
import { firstId, firstReply } from "./first_reply.ts";
import type { Lab } from "./lab.ts";
import { memoryOf, threadSeconds } from "./process_stats.ts";
import { loadShapes, runLoads } from "./run_loads.ts";
import { type Section, subject } from "./section.ts";
import { tableOf } from "./table.ts";
import { type OwnOptions, type OwnTarget, startServer } from "./target.ts";

const SERVER: OwnOptions = { layout: "default", workers: 2 };
const FULL_LOAD_IN_FLIGHT = 64;
/** How long to look at an idle server, in s, at least: it does something every second. */
const MIN_IDLE_SECONDS = 20;
/** How long the work that a start leaves behind takes, in ms. */
const SETTLE_MS = 1000;
const ROW = "global-id, idle";

/** The figures, and their descriptions. */
const FIGURES: Record<string, string> = {
  readyMs: "from the start until it says that it serves, ms",
  firstReplyMs: "until its first reply, ms",
  firstIdMs: "until its first id, ms",
  idleCpuPercent: "CPU time of all processes while nobody asks, % of one CPU",
  supervisorRssMib: "memory of the supervisor, resident, MiB",
  supervisorPssMib: "the same, with its share only of memory that it shares, MiB",
  workerRssMib: "memory of a worker, resident, MiB",
  workerPssMib: "the same, with its share only of memory that it shares, MiB",
  loadedWorkerRssMib: "memory of a worker after full load, resident, MiB",
  growthMib: "by how much it grew, MiB",
};

/** The cost of a server that nobody asks. */
export const IDLE: Section = {
  name: "idle",
  title: "Idle: start, CPU and memory",
  about:
    "A server with two workers and a state of its own, started for the second time, so that Deno has its programs " +
    "compiled. It has no ids until the next second of the clock begins. The full load in between is 64 requests " +
    "in flight, for as long as everything else here is measured.",

  subjects: () => [subject(ROW, measure)],

  show(figures) {
    const panel = (title: string, names: string[]) => ({
      title,
      categories: names.map((name) => FIGURES[name].replace(/, [^,]*$/, "")),
      series: [{ name: ROW, values: names.map((name) => figures.median(ROW, name)) }],
    });
    return {
      tables: [tableOf(Object.keys(FIGURES), {
        "": (name) => FIGURES[name],
        "global-id": (name) => figures.text(ROW, name),
      })],
      panels: [
        panel("Start, in ms", ["readyMs", "firstReplyMs", "firstIdMs"]),
        panel("Memory, in MiB", ["supervisorRssMib", "supervisorPssMib", "workerRssMib", "workerPssMib"]),
      ],
    };
  },
};

async function measure(lab: Lab): Promise<Sample> {
  await warmCache();
  const start = await measureStart();
  await using target = await lab.startOwn(SERVER);
  const idle = await measureIdle(lab, target);
  return { ...start, ...idle, ...await measureLoaded(lab, target) };
}

async function warmCache(): Promise<void> {
  await using _server = await startServer(SERVER);
}

async function measureStart(): Promise<Sample> {
  const beginMs = performance.now();
  await using server = await startServer(SERVER);
  const readyMs = performance.now() - beginMs;
  await firstReply(server.ports[0]);
  const firstReplyMs = performance.now() - beginMs;
  await firstId(server.ports[0]);
  return { readyMs, firstReplyMs, firstIdMs: performance.now() - beginMs };
}

async function measureIdle(lab: Lab, target: OwnTarget): Promise<Sample> {
  const { isQuick } = lab.options;
  const seconds = isQuick ? lab.options.seconds : Math.max(lab.options.seconds, MIN_IDLE_SECONDS);
  const { server, workerPids } = target.own;
  const pids = [server.pid, ...workerPids];
  await sleep(SETTLE_MS);
  const [beginMs, before] = [performance.now(), await threadSeconds(pids)];
  await sleep(seconds * 1000);
  const after = await threadSeconds(pids);
  const used = [...after].reduce((sum, [thread, seconds]) => sum + seconds - (before.get(thread) ?? 0), 0);
  const [supervisor, worker] = [await memoryOf(server.pid), await memoryOf(workerPids[0])];
  return {
    idleCpuPercent: used / (performance.now() - beginMs) * 1e5,
    supervisorRssMib: supervisor.rssMib,
    supervisorPssMib: supervisor.pssMib,
    workerRssMib: worker.rssMib,
    workerPssMib: worker.pssMib,
  };
}

async function measureLoaded(lab: Lab, target: OwnTarget): Promise<Sample> {
  const pid = target.own.workerPids[0];
  const before = await memoryOf(pid);
  await runLoads(lab, target, loadShapes(lab, target.own.workerPids.length, FULL_LOAD_IN_FLIGHT));
  const after = await memoryOf(pid);
  return { loadedWorkerRssMib: after.rssMib, growthMib: after.rssMib - before.rssMib };
}
