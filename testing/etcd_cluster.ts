import { assertEquals } from "@std/assert";
import type { Certificate } from "./certificates.ts";
import { freePorts } from "./free_ports.ts";
import { TempDir } from "./temp_dir.ts";
import { until } from "./within.ts";

/** The programs that Debian's packages etcd-server and etcd-client install. */
const PROGRAMS = ["etcd", "etcdctl"];

/** Whether etcd is installed. */
export const hasEtcd: boolean = PROGRAMS.every((name) =>
  new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null" }).outputSync().success
);

/** Where a member runs. */
export interface EtcdMachine {
  /** The IPv4 address on which it serves. */
  readonly address: string;
  /** A command that runs it there, such as `ip netns exec NAME`. */
  readonly runner: readonly string[];
}

/** How to start a cluster. */
export interface EtcdClusterOptions {
  /** Default: 3. */
  readonly size?: number;
  /** Where the members run. Default: all here, on the loopback address. */
  readonly machines?: readonly EtcdMachine[];
  /** Further flags of etcd. */
  readonly flags?: readonly string[];
  /** The files by which the members serve TLS: the authority's certificate, and their own. */
  readonly certificates?: Certificate & { readonly ca: string };
  /** The files by which etcdctl shows who it is, where the members ask for that. */
  readonly client?: Certificate;
}

/**
 * A cluster of real etcd members on this machine. They take a vote before an election, as docs/scaling.md recommends;
 * the other settings are those that etcd has by default.
 */
export class EtcdCluster implements AsyncDisposable {
  readonly members: readonly EtcdMember[];
  readonly #temp: TempDir;
  /** The flags of etcdctl for TLS. */
  readonly #tls: readonly string[];

  private constructor(temp: TempDir, members: readonly EtcdMember[], tls: readonly string[]) {
    this.#temp = temp;
    this.members = members;
    this.#tls = tls;
  }

  /** Starts a cluster, and waits until all members serve. */
  static async start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const { machines, size = machines?.length ?? 3, flags = [], certificates, client } = options;
    const temp = await TempDir.make();
    const scheme = certificates === undefined ? "http" : "https";
    const ports = freePorts(2 * size);
    const addressOf = (i: number) => machines?.[i].address ?? "127.0.0.1";
    const peerOf = (i: number) => `http://${addressOf(i)}:${ports[size + i]}`;
    const initialCluster = Array.from({ length: size }, (_, i) => `m${i}=${peerOf(i)}`).join(",");
    const members = Array.from({ length: size }, (_, i) => {
      const endpoint = `${scheme}://${addressOf(i)}:${ports[i]}`;
      const data = `${temp.path}/m${i}`;
      const identity = ["--name", `m${i}`, "--data-dir", data, "--initial-advertise-peer-urls", peerOf(i)];
      const cluster = ["--initial-cluster", initialCluster, "--initial-cluster-token", temp.path];
      const served = ["--listen-peer-urls", peerOf(i), "--listen-client-urls", endpoint];
      const tls = certificates === undefined
        ? []
        : ["--cert-file", certificates.cert, "--key-file", certificates.key, "--trusted-ca-file", certificates.ca];
      const log = ["--logger", "zap", "--log-level", "error"];
      const settings = ["--pre-vote", "--advertise-client-urls", endpoint, ...served, ...tls, ...log, ...flags];
      const { runner = [] } = machines?.[i] ?? {};
      return new EtcdMember(runner, endpoint, data, [...identity, ...cluster], settings);
    });
    const ctlTls = certificates === undefined ? [] : ["--cacert", certificates.ca];
    if (client !== undefined) ctlTls.push("--cert", client.cert, "--key", client.key);
    const started = new EtcdCluster(temp, members, ctlTls);
    try {
      for (const member of members) member.start();
      await started.healthy();
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
  }

  get endpoints(): string[] {
    return this.members.map(({ endpoint }) => endpoint);
  }

  /** The directory of the cluster's files. */
  get path(): string {
    return this.#temp.path;
  }

  /** Waits until members serve, all by default; with a runner, as it is where that one runs a command. */
  async healthy(members: readonly EtcdMember[] = this.members, runner: readonly string[] = []): Promise<void> {
    const endpoints = members.map(({ endpoint }) => endpoint);
    await until(
      "members of etcd serve",
      async () => (await this.#run(endpoints, ["endpoint", "health"], runner)).code === 0,
    );
  }

  /** The leader, as the members that answer have it. */
  async leader(): Promise<EtcdMember> {
    let leader: EtcdMember | undefined;
    await until("etcd has a leader", async () => {
      const isLeader = await Promise.all(this.members.map((member) => member.isLeader()));
      leader = this.members.find((_, i) => isLeader[i]);
      return leader !== undefined;
    });
    return leader as EtcdMember;
  }

  /** A member that does not lead. */
  async follower(): Promise<EtcdMember> {
    const leader = await this.leader();
    return this.members.find((member) => member !== leader) as EtcdMember;
  }

  /** Runs etcdctl with this cluster, and returns what it printed. */
  async ctl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#run(this.endpoints, args);
    assertEquals(code, 0, `etcdctl ${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** Saves what the cluster keeps now, and returns the file. */
  async snapshot(): Promise<string> {
    const path = `${this.path}/snapshot.db`;
    const { code, stderr } = await this.#run([this.endpoints[0]], ["snapshot", "save", path]);
    assertEquals(code, 0, `etcdctl snapshot save: ${stderr}`);
    return path;
  }

  /** Puts the cluster back to what it kept when a snapshot was saved, as an operator does: anew, from the file. */
  async restore(snapshot: string): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    for (const { data, identity } of this.members) {
      await Deno.remove(data, { recursive: true });
      await this.ctl("snapshot", "restore", snapshot, ...identity);
    }
    for (const member of this.members) member.start();
    await this.healthy();
  }

  async #run(
    endpoints: readonly string[],
    command: readonly string[],
    runner: readonly string[] = [],
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const env = { ETCDCTL_API: "3" };
    const [program, ...args] = [...runner, "etcdctl", "--endpoints", endpoints.join(","), ...this.#tls, ...command];
    const output = await new Deno.Command(program, { args, env }).output();
    const text = new TextDecoder();
    return { code: output.code, stdout: text.decode(output.stdout), stderr: text.decode(output.stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    await this.#temp[Symbol.asyncDispose]();
  }
}

/** One member of a cluster: a process. */
export class EtcdMember {
  readonly endpoint: string;
  /** The directory of its data. */
  readonly data: string;
  /** The flags that say who it is, to etcd and to etcdctl. */
  readonly identity: readonly string[];
  readonly #runner: readonly string[];
  readonly #flags: readonly string[];
  #child: Deno.ChildProcess | undefined;

  constructor(
    runner: readonly string[],
    endpoint: string,
    data: string,
    identity: readonly string[],
    flags: readonly string[],
  ) {
    this.#runner = runner;
    this.endpoint = endpoint;
    this.data = data;
    this.identity = identity;
    this.#flags = flags;
  }

  /** Starts the process, anew after a `kill`. */
  start(): void {
    const [program, ...args] = [...this.#runner, "etcd", ...this.identity, ...this.#flags];
    this.#child = new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  }

  /** Kills the process, and waits for its end. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.kill("SIGKILL");
    await child?.status;
  }

  /** Stops the process where it is: its connections stay, and nothing answers. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** Lets a paused process go on. */
  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Whether it leads the cluster, as it says itself. */
  async isLeader(): Promise<boolean> {
    try {
      const { leader, header } = await this.#status();
      return leader !== undefined && leader === header.member_id;
    } catch {
      return false;
    }
  }

  /** Its term, which grows with every election that it hears of. */
  async term(): Promise<number> {
    return Number((await this.#status()).raftTerm);
  }

  async #status(): Promise<{ leader?: string; raftTerm: string; header: { member_id: string } }> {
    const init = { method: "POST", body: "{}", signal: AbortSignal.timeout(1000) };
    return await (await fetch(`${this.endpoint}/v3/maintenance/status`, init)).json();
  }
}
