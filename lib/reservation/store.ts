/**
 * Keeps a text for each node id, the node's record, and changes it by compare-and-set only: a row of PostgreSQL
 * (`UPDATE … SET record = $3 WHERE node_id = $1 AND record = $2`), a key of etcd (a transaction on its value), a file.
 * What the texts say is no concern of the store's.
 *
 * **The invariant**: the ticks between two successive marks of a node belong to the holder that wrote the second mark,
 * and to nobody else, for ever; a holder may only give back ticks that it never uses. The invariant holds if
 * `compareAndSet` is atomic and durable. It does not depend on who the holders are, how many there are at a time, or
 * what their clocks say.
 *
 * Any call may fail by throwing. After a `compareAndSet` that threw, nobody knows whether the store made the change, or
 * still will: the holder learns of it with its next change. A call that never settles is given up after some seconds.
 *
 * A store that other machines share may go back: it is restored from a backup, or fails over to a standby that lagged.
 * So whoever takes a node there waits until all that an earlier holder can have reserved is over (see `isLocal`).
 *
 * @example A store of one's own: the records in a map
 * ```ts
 * import { IdGenerator, type ReservationStore } from "@global-id/global-id";
 *
 * const records = new Map<number, string>();
 * const store: ReservationStore = {
 *   isLocal: true,
 *   read: (nodeId) => Promise.resolve(records.get(nodeId)),
 *   compareAndSet(nodeId, expected, next) {
 *     if (records.get(nodeId) !== expected) return Promise.resolve(false);
 *     records.set(nodeId, next);
 *     return Promise.resolve(true);
 *   },
 *   list: () => Promise.resolve(records),
 * };
 * await using ids = await IdGenerator.open({ store });
 * ```
 */
export interface ReservationStore {
  /**
   * Reads the record of a node: what was written last, never what a replica still has.
   *
   * @returns The record, exactly as it was written; `undefined` (or `null`) if there never was one.
   */
  read(nodeId: number): Promise<string | undefined>;

  /**
   * Replaces the record of a node, atomically and durably, if the present one is as expected, character by character.
   *
   * @param nodeId The node.
   * @param expected The record that is to be replaced; `undefined` if there is to be none.
   * @param next The record that takes its place. It has less than 16,384 characters.
   * @returns Whether the record was as expected, and is replaced. If the present record is `next` already, it may say
   * either: no two changes have the same `next`.
   */
  compareAndSet(nodeId: number, expected: string | undefined, next: string): Promise<boolean>;

  /**
   * Reads all records at once. Left out: a claim of any free node reads one record after the other.
   *
   * @returns The records by node id. The caller does not change them.
   */
  list?(): Promise<ReadonlyMap<number, string>>;

  /**
   * Tells the store's own time, in ms since the Unix epoch: no earlier than when it was asked, no later than when it
   * answered, and off by a second at most. Machines whose clocks do not agree with it get no node. Left out: the
   * clocks of all machines that share the store are taken at their word.
   */
  now?(): Promise<number>;

  /**
   * What the latest answer said about the history of the data, if the store knows: a holder reports when it changes, or
   * falls back.
   */
  readonly history?: StoreHistory | undefined;

  /**
   * Whether the store is of this machine alone, and goes back only with the machine: a file on its disk, or memory.
   * Then a new holder begins at once.
   *
   * @default {false}
   */
  readonly isLocal?: boolean;
}

/** What a store knows about the history of its data. */
export interface StoreHistory {
  /** Names the history: another one if the data was restored, or another server took over (a cluster, a timeline). */
  readonly id: string;
  /** Grows with every change of the data. */
  readonly revision: number;
}
