import { PostgresReservationStore, type PostgresResult } from "../../lib/reservation/stores/postgres_store.ts";
import type { ReservationStore } from "../../mod.ts";
import { SharedStore } from "./shared_store.ts";
import type { Reply, StoreClient } from "./simulated_store.ts";

/** What tells the store's statements apart; the first one that fits counts. */
const STATEMENTS = [
  ["now", /clock_timestamp/],
  ["insert", /INSERT INTO/],
  ["update", /UPDATE/],
  ["read", /ON node_id = \$1/],
  ["list", /ON true/],
] as const;

/** After how long a driver gives up a statement, and how soon it performs it again, in ms. */
const DRIVER_MS = 3000;
const AGAIN_MS = 25;

/** What PostgreSQL says where somebody has cancelled a commit's wait for the synchronous standby. */
const MAY_BE_LOST = { code: "01000", message: "canceling wait for synchronous replication due to user request" };

/** A commit that waits for the synchronous standby. */
interface Waiting {
  readonly commit: () => void;
  readonly fail: () => void;
}

/**
 * PostgreSQL with a synchronous standby, as the project's store for PostgreSQL sees it through a driver, which performs
 * a statement again where a connection fails.
 *
 * At times the standby is away. Then commits wait for it; or somebody cancels the wait, and PostgreSQL makes the change
 * for all to see, with a warning. Such a change is gone if the standby takes over meanwhile.
 */
export class SimulatedPostgres extends SharedStore {
  /** What the standby has, while it is away. */
  #kept: ReadonlyMap<number, string> | undefined;
  #waiting: Waiting[] = [];
  #timeline = 1;

  /** Begins to fail at times. */
  constructor(...args: ConstructorParameters<typeof SharedStore>) {
    super(...args);
    this.#loseStandby();
  }

  /** The store for a process. */
  asSeenBy(process: StoreClient): ReservationStore {
    return new PostgresReservationStore({ query: (text, values) => this.#drive(process, text, values) });
  }

  protected override beRestored(): void {
    this.#kept &&= new Map(this.records);
    this.#timeline++;
  }

  /** Performs a statement; a second time, if the connection fails or is silent. */
  async #drive(process: StoreClient, text: string, values: readonly (number | string)[]): Promise<PostgresResult> {
    try {
      return await this.#send(process, text, values);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      return await this.#send(process, text, values);
    }
  }

  async #send(process: StoreClient, text: string, values: readonly (number | string)[]): Promise<PostgresResult> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("the driver's time for a statement is over")), DRIVER_MS);
    try {
      const reply = this.request<PostgresResult>(process, (reply) => this.#perform(text, values, reply));
      return await Promise.race([reply, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #perform(text: string, [nodeId, ...texts]: readonly (number | string)[], reply: Reply<PostgresResult>): void {
    const answer = (fields: object, notices: PostgresResult["notices"] = []) => {
      const history = `1/${this.#timeline}`;
      reply(undefined, { rows: [{ is_standby: false, history, revision: this.revision, ...fields }], notices });
    };
    switch (STATEMENTS.find(([, form]) => form.test(text))?.[0]) {
      case "now":
        return reply(undefined, { rows: [{ now_ms: this.timeMs }], notices: [] });
      case "read":
        return answer({ record: this.records.get(Number(nodeId)) ?? null });
      case "list": {
        const rows = [...this.records].map(([node_id, record]) => ({ node_id, record }));
        return reply(undefined, { rows: rows.length > 0 ? rows : [{ node_id: null, record: null }], notices: [] });
      }
      case "insert":
      case "update": {
        const [expected, next] = texts.length === 1 ? [undefined, String(texts[0])] : texts.map(String);
        const commit = (warnings?: PostgresResult["notices"]) => {
          const isMade = this.#change(Number(nodeId), expected, next);
          answer({ made: isMade ? 1 : 0 }, isMade ? warnings : []);
        };
        const isAcknowledged = this.#kept === undefined || ![expected, next].includes(this.records.get(Number(nodeId)));
        if (isAcknowledged) return commit();
        if (this.world.chance(0.5)) {
          this.#waiting.push({ commit, fail: () => reply(new TypeError("the connection was reset")) });
          return;
        }
        this.faults.warned++;
        return commit([MAY_BE_LOST]);
      }
    }
    throw new Error(`the model of PostgreSQL does not know the statement ${text}`);
  }

  /** Makes a change, and tells whether it is made now: by this statement, or before. */
  #change(nodeId: number, expected: string | undefined, next: string): boolean {
    if (this.replace(nodeId, expected, next)) return true;
    const isMade = this.records.get(nodeId) === next;
    if (isMade) this.faults.foundMade++;
    return isMade;
  }

  #loseStandby(): void {
    const { world } = this;
    world.after(world.between(10_000, 60_000), () => {
      this.#kept = new Map(this.records);
      world.after(world.between(1000, 20_000), () => {
        if (world.chance(0.5)) this.#returnStandby();
        else this.#failOver();
        this.#loseStandby();
      });
    });
  }

  /** The standby has all changes soon, and those that wait are made. */
  #returnStandby(): void {
    this.#kept = undefined;
    for (const { commit } of this.#waiting.splice(0)) commit();
  }

  /** The standby takes over: what it has not, is gone. */
  #failOver(): void {
    const kept = this.#kept ?? this.records;
    for (const nodeId of new Set([...this.records.keys(), ...kept.keys()])) {
      if (this.records.get(nodeId) !== kept.get(nodeId)) this.faults.unkept++;
    }
    this.records = new Map(kept);
    this.#kept = undefined;
    this.#timeline++;
    for (const { fail } of this.#waiting.splice(0)) fail();
  }
}
