import type { Reference } from "../reference/build.ts";
import { type ReferenceServerOptions, startReferenceServer } from "../reference/start_server.ts";
import { firstId } from "./first_reply.ts";
import type { IdLedger } from "./id_ledger.ts";
import { type OwnOptions, type OwnTarget, startOwn, type Target } from "./target.ts";

/** The settings that all measurements share. */
export interface LabOptions {
  /** The server and the load generator in C; `undefined` if there is no C compiler. */
  reference: Reference | undefined;
  /** The CPUs that there are, at least one. */
  cpus: number[];
  /** How long to measure each subject, in s. */
  seconds: number;
  /** Whether a few figures will do. */
  isQuick: boolean;
}

/** Where the subjects of a section are measured: keeps the servers that they share, until it is disposed of. */
export class Lab implements AsyncDisposable {
  readonly #own = new Map<string, OwnTarget>();
  readonly #inC = new Map<string, Target>();
  readonly #ledgers: IdLedger[] = [];
  readonly #stack = new AsyncDisposableStack();

  readonly options: LabOptions;

  constructor(options: LabOptions) {
    this.options = options;
  }

  /**
   * The programs in C.
   *
   * @throws {LeftOutError} If there are none.
   */
  get reference(): Reference {
    if (this.options.reference !== undefined) return this.options.reference;
    throw new LeftOutError("no C compiler, or not Linux (apt-get install gcc libc6-dev)");
  }

  /** The CPU of a load process, of which there is one for each of the first CPUs. */
  cpu(index: number): number {
    const { cpus } = this.options;
    return cpus[index % cpus.length];
  }

  /** This project's server with these options, the same one every time. */
  own(options: OwnOptions): Promise<OwnTarget> {
    return this.#shared(this.#own, options, () => this.startOwn(options));
  }

  /** A server of this project's for one subject, which must dispose of it. */
  async startOwn(options: OwnOptions): Promise<OwnTarget> {
    const target = await startOwn(options);
    this.#ledgers.push(target.own.ledger);
    return target;
  }

  /** The server in C with these options, the same one every time. */
  inC(options: ReferenceServerOptions): Promise<Target> {
    const { server } = this.reference;
    return this.#shared(this.#inC, options, () => startReferenceServer(server, options));
  }

  /** How many ids have been received from this project's servers, none of them twice. */
  get idCount(): number {
    return this.#ledgers.reduce((sum, { count }) => sum + count, 0);
  }

  async #shared<T extends Target>(targets: Map<string, T>, options: object, start: () => Promise<T>): Promise<T> {
    const key = JSON.stringify(options);
    const known = targets.get(key);
    if (known !== undefined) return known;
    const target = this.#stack.use(await start());
    await firstId(target.port);
    // Linux may give a port that it has given to another one of this user's servers, if both would share it.
    if ([...this.#own.values(), ...this.#inC.values()].some(({ port }) => port === target.port)) {
      throw new Error(`two servers got the port ${target.port}: try again`);
    }
    targets.set(key, target);
    return target;
  }

  /** Ends all servers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** A subject cannot be measured here; the message says what is missing. */
export class LeftOutError extends Error {
  /** The name of the class. */
  override name = "LeftOutError";
}
