import { TempDir } from "../../testing/temp_dir.ts";
import type { Alternative, Speed } from "./alternative.ts";
import { missingPrograms } from "./missing_programs.ts";
import { freePort, runProgram, ServerProgram } from "./programs.ts";

/** A sequence, and how it is asked for ids. */
interface Use {
  name: string;
  keeps: string;
  /** The options of CREATE SEQUENCE. */
  options: string;
  idsPerRequest: number;
  connections: number[];
}

const LOGGED_AHEAD =
  "the sequence, logged 32 requests ahead and flushed by the commit that does so: some ids are skipped";
const USES: Use[] = [
  {
    name: "nextval",
    keeps: LOGGED_AHEAD,
    options: "",
    idsPerRequest: 1,
    connections: [1, 64],
  },
  {
    name: "nextval, cache 100",
    keeps:
      "as without a cache, 100 ids for a connection at once: more are skipped, and they are not given out in order",
    options: "CACHE 100",
    idsPerRequest: 1,
    connections: [64],
  },
  {
    name: "nextval, increment by 1000",
    keeps: LOGGED_AHEAD,
    options: "INCREMENT BY 1000",
    idsPerRequest: 1000,
    connections: [64],
  },
];

/** Of how many requests pgbench notes the latency: enough for a p99, few enough not to slow it down. */
const SAMPLING_RATE = 0.1;

/**
 * Has no effect, except that pgbench reads its clock after it. Without it, an answer that is there as soon as the
 * request was sent counts as having taken 0 us, for pgbench takes both to have happened at the same time.
 */
const READ_CLOCK = "\\set nothing 0";

/** Twice what the load needs, since connections take a moment to end: the default of 100 would not do. */
const MAX_CONNECTIONS = 200;

/** How long to warm up, in seconds. */
const WARM_UP_SECONDS = 1;

/**
 * A sequence in PostgreSQL with its default settings, measured by pgbench over TCP: prepared statements, each a
 * transaction of its own.
 */
export const POSTGRES: Alternative = {
  name: "PostgreSQL",

  async missing() {
    const packages = { initdb: "postgresql", postgres: "postgresql", pgbench: "postgresql", psql: "postgresql-client" };
    return await missingPrograms(packages, await debianPath());
  },

  async *measure(seconds) {
    await using directory = await TempDir.make();
    const { path } = directory;
    const env = {
      ...{ ...await debianPath(), PGHOST: "127.0.0.1", PGPORT: freePort() },
      ...{ PGUSER: "postgres", PGPASSWORD: crypto.randomUUID(), PGDATABASE: "postgres" },
    };
    await makeCluster(path, env);
    await using _server = await startServer(path, env);
    for (const [i, { name, keeps, options, idsPerRequest, connections }] of USES.entries()) {
      await runProgram(["psql", "-qc", `CREATE SEQUENCE ids_${i} ${options}`], { env });
      const script = `${path}/${i}.sql`;
      await Deno.writeTextFile(script, `SELECT nextval('ids_${i}');\n${READ_CLOCK}\n`);
      for (const count of connections) {
        await benchmark(path, script, count, WARM_UP_SECONDS, env);
        const speed = await benchmark(path, script, count, seconds, env);
        const idsPerSecond = speed.repliesPerSecond * idsPerRequest;
        yield { name: `PostgreSQL ${name}, ${count} in flight`, keeps, idsPerSecond, ...speed };
      }
    }
  },
};

/** The environment of the programs: where they are, and for the clients how to connect. */
interface Environment extends Record<string, string> {
  PGPORT: string;
  PGPASSWORD: string;
}

async function makeCluster(directory: string, env: Environment): Promise<void> {
  const passwordFile = `${directory}/password`;
  await Deno.writeTextFile(passwordFile, env.PGPASSWORD);
  const user = serverUser();
  if (user !== undefined) await runProgram(["chown", "--recursive", `${user}:`, directory]);
  const access = ["--username=postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  await runProgram(["initdb", `--pgdata=${directory}/data`, "--no-locale", ...access], { user, env });
}

function startServer(directory: string, env: Environment): Promise<ServerProgram> {
  const address = ["-h", "127.0.0.1", "-p", env.PGPORT, "-k", ""];
  return ServerProgram.start(["postgres", "-D", `${directory}/data`, "-N", String(MAX_CONNECTIONS), ...address], {
    isReady: (printed) => printed.includes("database system is ready to accept connections"),
    stopSignal: "SIGINT", // a "fast" shutdown: it does not wait for clients
    user: serverUser(),
    env,
  });
}

/** PostgreSQL refuses to run as root. */
function serverUser(): string | undefined {
  return Deno.uid() === 0 ? "postgres" : undefined;
}

async function benchmark(
  directory: string,
  script: string,
  connections: number,
  seconds: number,
  env: Environment,
): Promise<Speed> {
  const logs = await Deno.makeTempDir({ dir: directory });
  const threads = Math.min(connections, navigator.hardwareConcurrency);
  const printed = await runProgram([
    ...["pgbench", "--no-vacuum", "--protocol=prepared", `--file=${script}`],
    ...[`--client=${connections}`, `--jobs=${threads}`, `--time=${seconds}`],
    ...["--log", `--log-prefix=${logs}/log`, `--sampling-rate=${SAMPLING_RATE}`],
  ], { env });
  const repliesPerSecond = Number(printed.match(/^tps = ([0-9.]+)/m)?.[1]);
  if (!(repliesPerSecond > 0)) throw new Error(`pgbench has measured nothing: ${printed.trim()}`);
  const latencies = await readLatencies(logs);
  const quantile = (share: number) => latencies[Math.floor(latencies.length * share)];
  return { repliesPerSecond, p50Us: quantile(0.5), p99Us: quantile(0.99) };
}

/** Reads pgbench's logs, a file a thread, a request a line; the third column is its latency in us. */
async function readLatencies(logs: string): Promise<Float64Array> {
  const latencies: number[] = [];
  for await (const { name } of Deno.readDir(logs)) {
    for (const line of (await Deno.readTextFile(`${logs}/${name}`)).split("\n")) {
      if (line !== "") latencies.push(Number(line.split(" ", 3)[2]));
    }
  }
  return Float64Array.from(latencies).sort();
}

/** PATH with the directories where Debian keeps the programs of each version, the newest first. */
async function debianPath(): Promise<{ PATH: string }> {
  const parent = "/usr/lib/postgresql";
  const versions = await Array.fromAsync(Deno.readDir(parent), ({ name }) => name).catch(() => []);
  const directories = versions.sort((a, b) => Number(b) - Number(a)).map((version) => `${parent}/${version}/bin`);
  return { PATH: [...directories, Deno.env.get("PATH") ?? ""].join(":") };
}
