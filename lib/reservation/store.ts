/**
 * What is on record for a node.
 *
 * A store keeps one of these a node id. It is all that a node's uniqueness rests on, so a store must be durable: once a
 * change is acknowledged, no crash of the store undoes it.
 */
export interface Reservation {
  /**
   * All ticks below this one are spoken for. Grows; but in the change that gives a node back, it may come down to what
   * was not used.
   */
  readonly mark: number;
  /** Who holds the node: a name that no other holder ever has; `""` once it was given back. */
  readonly holder: string;
  /** The layout that the ticks are counted in; a mark means nothing in another one. */
  readonly layout: string;
}

/**
 * Where reservations are kept: one key a node, changed by compare-and-set. It fits a row of PostgreSQL (`UPDATE … WHERE
 * mark = $1 AND holder = $2`), a key of etcd (a transaction on its value), or a file.
 *
 * **The invariant**: for a node id, the ticks between two successive marks belong to the holder that wrote the second
 * of them, and to nobody else, for ever; or until it gives back those that it did not use, and never will. It holds if
 * `compareAndSet` is atomic and durable; who the holders are, how many there are at a time, and what their clocks say
 * plays no part in it.
 *
 * Any call may fail by throwing. After a `compareAndSet` that threw, nobody knows whether the change was made, or will
 * still be: its holder finds out at its next one.
 */
export interface ReservationStore {
  /** What is on record for a node; `undefined` if nothing ever was. */
  read(nodeId: number): Promise<Reservation | undefined>;

  /**
   * Replaces what is on record for a node by `next`, if it still is `expected`, all fields equal; atomically and
   * durably.
   *
   * @returns Whether it did.
   */
  compareAndSet(nodeId: number, expected: Reservation | undefined, next: Reservation): Promise<boolean>;
}
