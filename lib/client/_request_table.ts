/** What a {@linkcode RequestTable} keeps: it writes the tag when the request is added. */
export interface Tagged {
  /** The upper 32 bits of the tag. */
  tagHigh: number;
  /** The lower 32 bits of the tag. */
  tagLow: number;
}

/**
 * The requests that are under way, by their tags.
 *
 * The lower half of a tag says where in the table its request is, from a random number on, and the upper half counts the requests,
 * from another: so nobody can guess a tag, and none comes again within 2^32 requests, when no late response is left.
 *
 * It is not a `Map`: a map whose entries come and go makes itself a new table every now and then, to which the old one leads. Once
 * one of those has got old enough for V8 to look at it seldom, it keeps all that came after it, requests and promises, until then:
 * a client spent half of its time on moving them.
 */
export class RequestTable<R extends Tagged> {
  readonly #slots: (R | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #firstLow: number;
  #count: number;

  constructor() {
    [this.#firstLow, this.#count] = crypto.getRandomValues(new Uint32Array(2));
  }

  /** How many there are. */
  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  /** Takes a request in, and gives it its tag. */
  add(request: R): void {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = request;
    request.tagHigh = this.#count = (this.#count + 1) >>> 0;
    request.tagLow = (this.#firstLow + slot) >>> 0;
  }

  /** The request with a tag, if it is under way. */
  get(tagHigh: number, tagLow: number): R | undefined {
    const request = this.#slots[this.#slotOf(tagLow)];
    return request?.tagHigh === tagHigh ? request : undefined;
  }

  /** Lets a request go, if it is there. */
  delete(request: R): void {
    const slot = this.#slotOf(request.tagLow);
    if (this.#slots[slot] !== request) return;
    this.#slots[slot] = undefined;
    this.#free.push(slot);
  }

  /** Calls a function with each of them. It may take in others, and let go any. */
  forEach(see: (request: R) => void): void {
    for (const request of [...this.#slots]) if (request !== undefined && this.#has(request)) see(request);
  }

  #has(request: R): boolean {
    return this.#slots[this.#slotOf(request.tagLow)] === request;
  }

  #slotOf(tagLow: number): number {
    return (tagLow - this.#firstLow) >>> 0;
  }
}
