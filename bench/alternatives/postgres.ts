import { TempDir } from "../../testing/temp_dir.ts";
import type { Alternative, AlternativeResult } from "./alternative.ts";
import { findCommand, missingCommands } from "./find_command.ts";
import { runProgram, ServerProgram, startOnFreePort } from "./programs.ts";

/** A sequence, and how it is asked for ids. */
interface Use {
  name: string;
  what: string;
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
    what: LOGGED_AHEAD,
    options: "",
    idsPerRequest: 1,
    connections: [1, 64],
  },
  {
    name: "nextval, cache 100",
    what: "as without a cache, 100 ids for a connection at once: more are skipped, and they are not given out in order",
    options: "CACHE 100",
    idsPerRequest: 1,
    connections: [64],
  },
  {
    name: "nextval, increment by 1000",
    what: LOGGED_AHEAD,
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
    return await missingCommands(packages, await debianDirectories());
  },

  async *measure(seconds) {
    await using directory = await TempDir.make();
    const password = crypto.randomUUID();
    await makeCluster(directory.path, password);
    const [port, server] = await startServer(directory.path);
    await using _server = server;

    const env = {
      ...{ PGHOST: "127.0.0.1", PGPORT: String(port) },
      ...{ PGUSER: "postgres", PGPASSWORD: password, PGDATABASE: "postgres" },
    };
    for (const [i, use] of USES.entries()) {
      await runProgram([await command("psql"), "-qc", `CREATE SEQUENCE ids_${i} ${use.options}`], { env });
      const script = `${directory.path}/${i}.sql`;
      await Deno.writeTextFile(script, `SELECT nextval('ids_${i}');\n${READ_CLOCK}\n`);
      for (const connections of use.connections) {
        const load = { script, connections, env };
        await benchmark(directory.path, { ...load, seconds: WARM_UP_SECONDS });
        yield resultOf(use, connections, await benchmark(directory.path, { ...load, seconds }));
      }
    }
  },
};

async function makeCluster(directory: string, password: string): Promise<void> {
  const passwordFile = `${directory}/password`;
  await Deno.writeTextFile(passwordFile, password);
  const user = serverUser();
  if (user !== undefined) await runProgram(["chown", "--recursive", `${user}:`, directory]);
  const access = ["--username=postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  await runProgram([await command("initdb"), `--pgdata=${directory}/data`, "--no-locale", ...access], { user });
}

async function startServer(directory: string): Promise<[port: number, server: ServerProgram]> {
  const postgres = await command("postgres");
  return await startOnFreePort((port) => {
    const address = ["-h", "127.0.0.1", "-p", String(port), "-k", ""];
    const flags = ["-D", `${directory}/data`, "-N", String(MAX_CONNECTIONS), ...address];
    return ServerProgram.start([postgres, ...flags], {
      isReady: (printed) => printed.includes("database system is ready to accept connections"),
      stopSignal: "SIGINT", // a "fast" shutdown: it does not wait for clients
      user: serverUser(),
    });
  });
}

/** PostgreSQL refuses to run as root. */
function serverUser(): string | undefined {
  return Deno.uid() === 0 ? "postgres" : undefined;
}

/** The task of pgbench. */
interface Load {
  script: string;
  connections: number;
  seconds: number;
  env: Record<string, string>;
}

/** The result of pgbench. */
interface Found {
  requestsPerSecond: number;
  /** In us, ascending. */
  latencies: Float64Array;
}

async function benchmark(directory: string, { script, connections, seconds, env }: Load): Promise<Found> {
  const logs = await Deno.makeTempDir({ dir: directory });
  const threads = Math.min(connections, navigator.hardwareConcurrency);
  const printed = await runProgram([
    ...[await command("pgbench"), "--no-vacuum", "--protocol=prepared", `--file=${script}`],
    ...[`--client=${connections}`, `--jobs=${threads}`, `--time=${seconds}`],
    ...["--log", `--log-prefix=${logs}/log`, `--sampling-rate=${SAMPLING_RATE}`],
  ], { env });
  const requestsPerSecond = Number(printed.match(/^tps = ([0-9.]+)/m)?.[1]);
  if (!(requestsPerSecond > 0)) throw new Error(`pgbench has measured nothing: ${printed.trim()}`);
  return {
    requestsPerSecond,
    latencies: await readLatencies(logs),
  };
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

function resultOf(use: Use, connections: number, { requestsPerSecond, latencies }: Found): AlternativeResult {
  return {
    name: `PostgreSQL ${use.name}`,
    what: use.what,
    idsPerSecond: requestsPerSecond * use.idsPerRequest,
    requestsPerSecond,
    p50Us: latencies[Math.floor(latencies.length * 0.5)],
    p99Us: latencies[Math.floor(latencies.length * 0.99)],
    inFlight: connections,
  };
}

async function command(name: string): Promise<string> {
  return await findCommand(name, await debianDirectories()) ?? name;
}

/** Where Debian keeps the programs of each version, the newest first: most of them are not in PATH. */
async function debianDirectories(): Promise<string[]> {
  const parent = "/usr/lib/postgresql";
  try {
    const versions = await Array.fromAsync(Deno.readDir(parent), ({ name }) => name);
    return versions.sort((a, b) => Number(b) - Number(a)).map((version) => `${parent}/${version}/bin`);
  } catch {
    return [];
  }
}
