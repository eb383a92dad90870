import { assertEquals } from "@std/assert";
import type { Certificate } from "./certificates.ts";
import { freePorts } from "./free_ports.ts";
import { TempDir } from "./temp_dir.ts";
import { until } from "./within.ts";

/** Where Debian's package postgresql puts the programs; the latest version, if there are several. */
const BIN = sh("ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1");

/** Whether PostgreSQL is installed. */
export const hasPostgres: boolean = BIN !== "";

/** PostgreSQL refuses to run as root. */
const isRoot = sh("id -u") === "0";
const AS_INSTALLER = isRoot ? ["install", "-o", "postgres", "-g", "postgres"] : ["install"];
const AS_USER = isRoot ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : [];

function sh(script: string): string {
  const { stdout } = new Deno.Command("sh", { args: ["-c", script] }).outputSync();
  return new TextDecoder().decode(stdout).trim();
}

/** How a standby follows the primary. */
export interface StandbyOptions {
  /** Whether the primary waits for it with each commit. */
  readonly isSynchronous: boolean;
}

/** A cluster of real PostgreSQL servers on this machine: a primary, and its standbys. The superuser is `postgres`. */
export class PostgresCluster implements AsyncDisposable {
  /** The server that is the primary at first. */
  readonly primary: PostgresServer;
  readonly standbys: PostgresServer[] = [];
  readonly #temp: TempDir;

  private constructor(temp: TempDir) {
    this.#temp = temp;
    this.primary = new PostgresServer(`${temp.path}/primary`, "");
  }

  /** Starts a cluster, and waits until all servers serve. */
  static async start({ standbys = [] }: { standbys?: readonly StandbyOptions[] } = {}): Promise<PostgresCluster> {
    const temp = await TempDir.make();
    const cluster = new PostgresCluster(temp);
    try {
      if (isRoot) await run(["chown", "postgres", temp.path]);
      await cluster.primary.initialize();
      await cluster.primary.start();
      for (const [i, options] of standbys.entries()) {
        const standby = new PostgresServer(`${temp.path}/standby${i}`, `standby${i}`);
        cluster.standbys.push(standby);
        await standby.copy(cluster.primary);
        await standby.start();
        if (options.isSynchronous) await cluster.primary.commitWith(standby);
      }
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The directory of the cluster's files. */
  get path(): string {
    return this.#temp.path;
  }

  /** All servers, the primary first. */
  get servers(): PostgresServer[] {
    return [this.primary, ...this.standbys];
  }

  /** The URL of a store of the superuser's in it. */
  get url(): string {
    const hosts = this.servers.map(({ port }) => `127.0.0.1:${port}`).join(",");
    return `postgres://postgres@${hosts}/postgres`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
    await this.#temp[Symbol.asyncDispose]();
  }
}

/** One server: a process, and a child of it for each connection. */
export class PostgresServer {
  readonly port: number = freePorts(1)[0];
  /** The directory of its data. */
  readonly data: string;
  /** Its name for a primary. */
  readonly name: string;
  #child: Deno.ChildProcess | undefined;

  constructor(data: string, name: string) {
    this.data = data;
    this.name = name;
  }

  /** Makes the data of a new cluster. Everybody on this machine may be every user. */
  async initialize(): Promise<void> {
    const flags = ["--no-locale", "--encoding=UTF8", "--no-sync", "--username=postgres", "--auth=trust"];
    await run([...AS_USER, `${BIN}/initdb`, "-D", this.data, ...flags]);
  }

  /** Makes the data of a standby, from a primary that runs. */
  async copy(primary: PostgresServer): Promise<void> {
    const from = `host=127.0.0.1 port=${primary.port} user=postgres application_name=${this.name}`;
    const flags = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"];
    await run([...AS_USER, `${BIN}/pg_basebackup`, "-D", this.data, "-d", from, ...flags]);
  }

  /** Adds a line to its settings, which counts from the next start or `reload` on. */
  async configure(line: string): Promise<void> {
    await Deno.writeTextFile(`${this.data}/postgresql.auto.conf`, `${line}\n`, { append: true });
  }

  /** Starts the process, anew after a `kill`, and waits until it serves. */
  async start(): Promise<void> {
    const where = ["-p", `${this.port}`, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="];
    const [program, ...args] = [...AS_USER, `${BIN}/postgres`, "-D", this.data, ...where];
    this.#child = new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
    await until("PostgreSQL serves", async () => {
      const args = ["-q", "-h", "127.0.0.1", "-p", `${this.port}`];
      return (await new Deno.Command(`${BIN}/pg_isready`, { args }).output()).success;
    });
  }

  /** Has each commit wait until a standby has it. */
  async commitWith(standby: PostgresServer): Promise<void> {
    await this.configure(`synchronous_standby_names = '${standby.name}'`);
    await this.reload();
    await this.isFollowedBy(standby);
  }

  /** Waits until a synchronous standby follows. One that has lost its primary looks for it every 5 s. */
  async isFollowedBy({ name }: PostgresServer): Promise<void> {
    const state = `SELECT sync_state FROM pg_stat_replication WHERE application_name = '${name}'`;
    await until("the standby is synchronous", async () => await this.sql(state) === "sync");
  }

  /** Has it read its settings, and the file pg_hba.conf. */
  async reload(): Promise<void> {
    await this.sql("SELECT pg_reload_conf()");
  }

  /**
   * Has a standby lag for ever: it receives no more. (A standby with `recovery_min_apply_delay` applies all that it has
   * received when it becomes the primary, and so does one that was stopped.)
   */
  async stopFollowing(): Promise<void> {
    await this.configure("primary_conninfo = ''");
    await this.reload();
    await until("the standby receives no more", async () => {
      return await this.sql("SELECT count(*) FROM pg_stat_wal_receiver") === "0";
    });
  }

  /** Has it let in whom these lines of pg_hba.conf say, and everybody else as before. */
  async letIn(...lines: readonly string[]): Promise<void> {
    const path = `${this.data}/pg_hba.conf`;
    await Deno.writeTextFile(path, [...lines, await Deno.readTextFile(path)].join("\n"));
    await this.reload();
  }

  /** Has it serve TLS, too, and ask for certificates that this authority signed. */
  async serveTls({ cert, key, ca }: Certificate & { readonly ca: string }): Promise<void> {
    // The server wants the key to be its user's alone, and reads all files as that user.
    for (const [name, path] of Object.entries({ cert, key, ca })) {
      await run([...AS_INSTALLER, "-m", "600", path, `${this.data}/${name}.pem`]);
      await this.configure(`ssl_${name}_file = '${name}.pem'`);
    }
    await this.configure("ssl = on");
    await this.reload();
    await until("PostgreSQL serves TLS", async () => await this.sql("SHOW ssl") === "on");
  }

  /** Makes a standby the primary, and waits until it is. It waits for no standby of its own. */
  async promote(): Promise<void> {
    await this.configure("synchronous_standby_names = ''");
    await this.reload();
    await this.sql("SELECT pg_promote()");
  }

  /** Performs a statement as the superuser, and returns the values, a row a line. */
  async sql(statement: string): Promise<string> {
    const where = ["-h", "127.0.0.1", "-p", `${this.port}`, "-U", "postgres", "-d", "postgres"];
    const flags = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"];
    return await run([`${BIN}/psql`, ...where, ...flags, "-c", statement]);
  }

  /** Kills all its processes, and waits for the end. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#signal("SIGKILL");
    this.#child = undefined;
    await child.status;
  }

  /** Stops all its processes where they are: its connections stay, and nothing answers. */
  pause(): void {
    this.#signal("SIGSTOP");
  }

  /** Lets paused processes go on. */
  resume(): void {
    this.#signal("SIGCONT");
  }

  /** Sends a signal to the process that makes the others, so that it makes no more, and then to those. */
  #signal(signal: Deno.Signal): void {
    if (this.#child === undefined) return;
    const { pid } = this.#child;
    Deno.kill(pid, signal);
    for (const child of sh(`ps -o pid= --ppid ${pid}`).split(/\s+/).filter((text) => text !== "")) {
      try {
        Deno.kill(Number(child), signal);
      } catch {
        // It has ended.
      }
    }
  }
}

/** Runs a program to its end, and returns what it printed. */
async function run([program, ...args]: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}
