/** A request that a {@linkcode RequestTable} can keep. The table gives it its tag. */
export interface Tagged {
  /** The upper 32 bits of the tag. */
  tagHigh: number;
  /** The lower 32 bits of the tag. */
  tagLow: number;
}

/**
 * The requests that are under way, by their tags.
 *
 * The lower half of a tag is the request's place in the table, plus a random number; the upper half counts the
 * requests, from another random number on. So nobody can guess a tag, and no tag comes again within 2^32 requests,
 * after which no late response is left.
 *
 * The table is no `Map`. V8 rebuilds a map whose entries come and go, and every old table of the map references the
 * next one. Once an old table has reached V8's old generation, it keeps alive all tables after it, with their requests
 * and promises, until the next full garbage collection: a client spent half of its time on moving them.
 */
export class RequestTable<R extends Tagged> {
  readonly #slots: (R | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #firstLow: number;
  #count: number;

  constructor() {
    [this.#firstLow, this.#count] = crypto.getRandomValues(new Uint32Array(2));
  }

  /** How many requests the table holds. */
  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  /** Adds a request, and gives it its tag. */
  add(request: R): void {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = request;
    request.tagHigh = this.#count = (this.#count + 1) >>> 0;
    request.tagLow = (this.#firstLow + slot) >>> 0;
  }

  /** Returns the request with this tag, if it is under way. */
  get(tagHigh: number, tagLow: number): R | undefined {
    const request = this.#slots[this.#slotOf(tagLow)];
    return request?.tagHigh === tagHigh ? request : undefined;
  }

  /** Removes a request, if the table holds it. */
  delete(request: R): void {
    const slot = this.#slotOf(request.tagLow);
    if (this.#slots[slot] !== request) return;
    this.#slots[slot] = undefined;
    this.#free.push(slot);
  }

  /** Calls a function with each request. The function may add and delete requests. */
  forEach(call: (request: R) => void): void {
    for (const request of [...this.#slots]) if (request !== undefined && this.#has(request)) call(request);
  }

  #has(request: R): boolean {
    return this.#slots[this.#slotOf(request.tagLow)] === request;
  }

  #slotOf(tagLow: number): number {
    return (tagLow - this.#firstLow) >>> 0;
  }
}
