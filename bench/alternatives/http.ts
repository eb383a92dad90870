import { TempDir } from "../../testing/temp_dir.ts";
import type { Alternative, Speed } from "./alternative.ts";
import { missingPrograms } from "./missing_programs.ts";
import { runProgram, ServerProgram } from "./programs.ts";

/** How the service runs, and how it is asked. */
interface Use {
  name: string;
  /** The threads that serve. */
  workers: number;
  flags: string[];
  connections: number[];
}

const CPUS = navigator.hardwareConcurrency;
const USES: Use[] = [
  { name: "HTTP, deno serve", workers: 1, flags: [], connections: [1, 64] },
  // Its workers share one socket: which of them gets a connection is chance, and may leave one idle.
  { name: `HTTP, deno serve --parallel, ${CPUS} workers`, workers: CPUS, flags: ["--parallel"], connections: [64] },
];

/** How long to warm up, in seconds. */
const WARM_UP_SECONDS = 1;

/** An HTTP service around this project's generator, `http_server.ts`, measured by wrk. */
export const HTTP: Alternative = {
  name: "HTTP",

  missing: () => missingPrograms({ wrk: "wrk" }),

  async *measure(seconds) {
    for (const use of USES) {
      await using directory = await TempDir.make();
      await using server = await startServer(directory.path, use);
      const url = server.printed.match(/http:\S+/)?.[0] as string;
      for (const connections of use.connections) {
        await benchmark(url, connections, WARM_UP_SECONDS);
        const speed = await benchmark(url, connections, seconds);
        yield {
          name: `${use.name}, ${connections} in flight`,
          keeps: "reserved seconds, in SQLite: none is repeated",
          idsPerSecond: speed.repliesPerSecond,
          ...speed,
        };
      }
    }
  },
};

function startServer(directory: string, { workers, flags }: Use): Promise<ServerProgram> {
  const script = new URL("./http_server.ts", import.meta.url).href;
  return ServerProgram.start([
    ...[Deno.execPath(), "serve", "--quiet", "--no-prompt", `--allow-read=${directory}`, `--allow-write=${directory}`],
    ...["--host", "127.0.0.1", "--port", "0", ...flags, script, `${directory}/reservations.sqlite`],
  ], {
    env: { DENO_JOBS: String(workers) },
    isReady: (printed) => printed.split("has ids").length > workers && /http:\S+\s/.test(printed),
    // On SIGTERM, `deno serve` stops serving, but does not end while the reservation is being renewed.
    stopSignal: "SIGKILL",
  });
}

async function benchmark(url: string, connections: number, seconds: number): Promise<Speed> {
  const threads = Math.min(connections, CPUS);
  const script = new URL("./wrk_report.lua", import.meta.url).pathname;
  const load = ["-c", connections, "-t", threads, "-d", seconds].map(String);
  const printed = await runProgram(["wrk", ...load, "-s", script, url]);
  const { requests, durationUs, p50Us, p99Us, errors } = JSON.parse(printed.trim().split("\n").at(-1) ?? "");
  if (errors > 0) throw new Error(`${errors} of ${requests} HTTP requests failed`);
  return { repliesPerSecond: requests / durationUs * 1e6, p50Us, p99Us };
}
