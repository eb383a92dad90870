import { EtcdReservationStore } from "../../lib/reservation/stores/etcd_store.ts";
import type { ReservationStore } from "../../mod.ts";
import { SharedStore } from "./shared_store.ts";
import type { StoreClient } from "./simulated_store.ts";

const MEMBERS = 3;

/** `http://MEMBER.PROCESS.etcd/v3/kv/CALL`. */
const URL_OF_CALL = /^http:\/\/(\d+)\.(\d+)\.etcd\/v3\/kv\/(range|txn)$/;
const KEY = /^global-id\/nodes\/(\d+)$/;

/** What a simulated cluster is asked: as much of etcd's API as the store uses. */
interface EtcdRequest {
  readonly key: string;
  readonly range_end?: string;
  readonly count_only?: boolean;
  readonly min_mod_revision?: string;
  readonly compare: readonly Comparison[];
  readonly success: readonly { readonly request_put: { readonly key: string; readonly value: string } }[];
}

/** What a transaction compares: the value of a key, or how often the key has been written since it was made. */
interface Comparison {
  readonly target: "VALUE" | "VERSION";
  readonly result?: "EQUAL" | "GREATER" | "LESS" | "NOT_EQUAL";
  readonly value?: string;
  readonly version?: string;
}

/**
 * A cluster of etcd, as the project's own client of etcd sees it. The client performs a request again if there is no
 * answer, by another member; so the cluster may perform it twice, the second time much later.
 *
 * One member or another stands still at times, and performs what it was asked for when it goes on. A restored cluster
 * counts its revisions anew, some with the name that it had.
 */
export class SimulatedEtcd extends SharedStore {
  readonly #processes: StoreClient[] = [];
  /** Until when each member stands still. */
  readonly #pausedUntilMs: number[] = Array(MEMBERS).fill(0);
  readonly #modRevisions = new Map<number, number>();
  readonly #versions = new Map<number, number>();
  #clusterId = 1;

  /** Begins to fail at times. */
  constructor(...args: ConstructorParameters<typeof SharedStore>) {
    super(...args);
    this.#pauseMembers();
  }

  /** The store for a process. */
  asSeenBy(process: StoreClient): ReservationStore {
    const index = this.#processes.push(process) - 1;
    return new EtcdReservationStore({
      endpoints: Array.from({ length: MEMBERS }, (_, member) => `http://${member}.${index}.etcd`),
    });
  }

  /** Answers a request of a process, in the place of the runtime's `fetch`. */
  readonly fetch = async (url: string, { body }: RequestInit): Promise<Response> => {
    const [, member, process, call] = URL_OF_CALL.exec(url) ?? [];
    const request: EtcdRequest = JSON.parse(String(body));
    const execute = call === "txn" ? () => this.#performTransaction(request) : () => this.#performRange(request);
    const stallMs = Math.max(0, this.#pausedUntilMs[Number(member)] - this.world.nowMs);
    return await this.request(this.#processes[Number(process)], (reply) => {
      const [text, date] = [execute(), new Date(this.timeMs).toUTCString()];
      const answer = { status: 200, headers: { get: () => date }, text: () => Promise.resolve(text) };
      reply(undefined, answer as unknown as Response);
    }, stallMs);
  };

  protected override beRestored(): void {
    if (this.world.chance(0.5)) this.#clusterId++;
  }

  #performTransaction({ compare: [comparison], success: [{ request_put: put }] }: EtcdRequest): string {
    const nodeId = nodeIn(put.key);
    const present = this.records.get(nodeId);
    const next = atob(put.value);
    if (!this.#isTrue(comparison, nodeId, present)) {
      if (present === next) this.faults.foundMade++;
      return this.#answer({ responses: [{ response_range: { kvs: this.#keyValues([nodeId]) } }] });
    }
    this.replace(nodeId, present, next);
    this.#versions.set(nodeId, present === undefined ? 1 : this.#versionOf(nodeId) + 1);
    this.#modRevisions.set(nodeId, this.revision);
    return this.#answer({ succeeded: true });
  }

  #isTrue(
    { target, result = "EQUAL", value, version }: Comparison,
    nodeId: number,
    present: string | undefined,
  ): boolean {
    const [left, right] = target === "VALUE"
      ? [present, atob(value ?? "")]
      : [present === undefined ? 0 : this.#versionOf(nodeId), Number(version)];
    if (left === undefined) return false;
    return { EQUAL: left === right, GREATER: left > right, LESS: left < right, NOT_EQUAL: left !== right }[result];
  }

  #versionOf(nodeId: number): number {
    return this.#versions.get(nodeId) ?? 1;
  }

  #performRange({ key, range_end: end, count_only: isCount, min_mod_revision: min = "0" }: EtcdRequest): string {
    const nodeIds = end === undefined ? [nodeIn(key)] : [...this.records.keys()];
    const changed = nodeIds.filter((nodeId) => (this.#modRevisions.get(nodeId) ?? 0) >= Number(min));
    return this.#answer({ kvs: isCount ? [] : this.#keyValues(changed), count: `${nodeIds.length}` });
  }

  #keyValues(nodeIds: number[]): { key: string; value: string }[] {
    return nodeIds.flatMap((nodeId) => {
      const record = this.records.get(nodeId);
      return record === undefined ? [] : [{ key: btoa(`global-id/nodes/${nodeId}`), value: btoa(record) }];
    });
  }

  #answer(fields: object): string {
    return JSON.stringify({ header: { cluster_id: `${this.#clusterId}`, revision: `${this.revision}` }, ...fields });
  }

  #pauseMembers(): void {
    const { world } = this;
    world.after(world.between(10_000, 60_000), () => {
      const member = Math.floor(world.between(0, MEMBERS));
      this.#pausedUntilMs[member] = world.nowMs + world.between(500, 20_000);
      this.#pauseMembers();
    });
  }
}

function nodeIn(key: string): number {
  return Number(KEY.exec(atob(key))?.[1]);
}
