import { killIfAlive, ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { median, type Sample } from "./figures.ts";
import { firstId } from "./first_reply.ts";
import { type Section, subject } from "./section.ts";
import { tableOf } from "./table.ts";

const FLAGS = ["--workers", "2"];
/** Restarts in a round. */
const RESTARTS = 4;

/** How a server ends, by row. */
const ENDS: Record<string, (server: ServerProcess) => void | Promise<void>> = {
  "after SIGTERM": (server) => server.kill("SIGTERM"),
  "after kill -9 of all its processes": async (server) => {
    for (const pid of [server.pid, ...await server.workerPids()]) killIfAlive(pid);
  },
};
const ROWS = Object.keys(ENDS);

/** How long there are no ids while a server is started again. */
export const RESTART: Section = {
  name: "restart",
  title: "Restarts: how long there are no ids",
  about:
    `From the start of the next server's process, which is made at once, to its first id, in ms. Two workers, the ` +
    `default policy, a client that asks every 2 ms; of ${RESTARTS} restarts in each round.`,

  subjects: (isQuick) => ROWS.map((row) => subject(row, () => measure(ENDS[row], isQuick ? 1 : RESTARTS))),

  show: (figures) => ({
    tables: [tableOf(ROWS, {
      "": (row) => row,
      "median, ms": (row) => figures.text(row, "medianMs"),
      "longest, ms": (row) => figures.text(row, "longestMs"),
    })],
    panels: [figures.panel("From start to first id, in ms", ROWS, { median: "medianMs", longest: "longestMs" })],
  }),
};

async function measure(end: (server: ServerProcess) => void | Promise<void>, count: number): Promise<Sample> {
  await using state = await TempDir.make();
  let server = await ServerProcess.start({ flags: FLAGS, state });
  try {
    const [port] = server.ports;
    await firstId(port);
    const timesMs: number[] = [];
    for (let restart = 0; restart < count; restart++) {
      await end(server);
      await server.ended();
      const beganMs = performance.now();
      server = await ServerProcess.spawn({ flags: FLAGS, state, port });
      await firstId(port);
      timesMs.push(performance.now() - beganMs);
      await server.says(/try it/);
    }
    return { medianMs: median(timesMs), longestMs: Math.max(...timesMs) };
  } finally {
    await server.stop();
  }
}
