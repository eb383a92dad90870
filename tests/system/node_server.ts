import { killIfAlive, ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";

/** A server with a node id and a directory of its own, which can be started again. */
export class NodeServer implements AsyncDisposable {
  readonly nodeId: number;
  readonly #state: TempDir;
  readonly #options: { flags: string[]; runner?: string[] };
  #server: ServerProcess;

  private constructor(
    nodeId: number,
    state: TempDir,
    options: { flags: string[]; runner?: string[] },
    server: ServerProcess,
  ) {
    this.nodeId = nodeId;
    this.#state = state;
    this.#options = options;
    this.#server = server;
  }

  /** Starts it and waits until it serves, on this machine or where another command runs it. */
  static async start(
    nodeId: number,
    { host = "127.0.0.1", runner }: { host?: string; runner?: string[] } = {},
  ): Promise<NodeServer> {
    const state = await TempDir.make();
    const flags = ["--workers", "1", "--node-id", `${nodeId}`, "--host", host];
    const options = { flags, ...runner && { runner } };
    const server = await ServerProcess.start({ state, ...options });
    return new NodeServer(nodeId, state, options, server);
  }

  get port(): number {
    return this.#server.ports[0];
  }

  /** Sends a signal to all of its processes. */
  async signal(signal: Deno.Signal): Promise<void> {
    for (const pid of [this.#server.pid, ...await this.#server.workerPids()]) Deno.kill(pid, signal);
  }

  /** Kills all of its processes. */
  async kill(): Promise<void> {
    for (const pid of [this.#server.pid, ...await this.#server.workerPids()]) killIfAlive(pid);
    await this.#server.ended();
    await this.#server.workersEnded();
  }

  /** Starts it again, on the same port. */
  async restart(): Promise<void> {
    this.#server = await ServerProcess.start({ state: this.#state, ...this.#options, port: this.port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
    await this.#server.workersEnded();
    await this.#state[Symbol.asyncDispose]();
  }
}
