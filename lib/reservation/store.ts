/**
 * The record of a node.
 *
 * A store keeps one record for each node id. A node's uniqueness rests on nothing else, so a store must be durable: no
 * crash undoes a change that the store has acknowledged.
 *
 * @example A node that was given back, with all ticks before 217,633,249 spoken for
 * ```ts
 * import { DEFAULT_LAYOUT, type Reservation } from "@global-id/global-id";
 *
 * const reservation: Reservation = { mark: 217_633_249, holder: "", layout: DEFAULT_LAYOUT.key };
 * ```
 */
export interface Reservation {
  /**
   * The first tick that is not reserved: all ticks below are spoken for. It only grows, except that a holder that gives
   * its node back may bring it down to its first unused tick.
   */
  readonly mark: number;
  /**
   * The node's holder and its attempt by which it wrote this record, as `NAME/ATTEMPT`: a text that comes on record
   * only once. It is `""` once the node was given back.
   */
  readonly holder: string;
  /** The key of the layout that the ticks are counted in (`IdLayout.key`): a mark means nothing in another layout. */
  readonly layout: string;
}

/**
 * Keeps the records of all nodes, which change by compare-and-set only. A record fits a row of PostgreSQL (`UPDATE …
 * WHERE node_id = $1 AND mark = $2 AND holder = $3 AND layout = $4`), a key of etcd (a transaction on its value), or a
 * file.
 *
 * **The invariant**: the ticks between two successive marks of a node belong to the holder that wrote the second mark,
 * and to nobody else, for ever; a holder may only give back ticks that it never uses. The invariant holds if
 * `compareAndSet` is atomic and durable. It does not depend on who the holders are, how many there are at a time, or
 * what their clocks say.
 *
 * Any call may fail by throwing. After a `compareAndSet` that threw, nobody knows whether the store made the change, or
 * still will: the holder learns of it with its next change.
 *
 * @example A store of one's own: the records in a map
 * ```ts
 * import { IdGenerator, type Reservation, type ReservationStore } from "@global-id/global-id";
 *
 * const records = new Map<number, Reservation>();
 * const isSame = (a?: Reservation, b?: Reservation) =>
 *   a?.mark === b?.mark && a?.holder === b?.holder && a?.layout === b?.layout;
 * const store: ReservationStore = {
 *   read: (nodeId) => Promise.resolve(records.get(nodeId)),
 *   compareAndSet(nodeId, expected, next) {
 *     if (!isSame(records.get(nodeId), expected)) return Promise.resolve(false);
 *     records.set(nodeId, next);
 *     return Promise.resolve(true);
 *   },
 * };
 * await using ids = await IdGenerator.open({ store });
 * ```
 */
export interface ReservationStore {
  /**
   * Reads the record of a node.
   *
   * @returns The record; `undefined` if there never was one.
   */
  read(nodeId: number): Promise<Reservation | undefined>;

  /**
   * Replaces the record of a node, atomically and durably, if all fields of the present record are as expected.
   *
   * @param nodeId The node.
   * @param expected The record that is to be replaced; `undefined` if there is to be none.
   * @param next The record that takes its place.
   * @returns Whether the record was as expected, and is replaced.
   */
  compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean>;
}
