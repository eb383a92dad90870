import { RandomWords } from "./_random_words.ts";

/** A request that a {@linkcode RequestTable} can keep. The table gives it its tag. */
export interface Tagged {
  /** The upper 32 bits of the tag. */
  tagHigh: number;
  /** The lower 32 bits of the tag. */
  tagLow: number;
}

/** How many places the table begins with: a power of two, so that the lowest bits of a tag are a place. */
const FIRST_PLACES = 64;

/**
 * The requests that are under way, by their tags.
 *
 * A tag is 64 random bits of the system's generator for cryptography, drawn anew for each request. So nobody can tell
 * the next tag from those before, and a sender who does not see the requests cannot forge a response. Nor is a late
 * response taken for another request's: even if all responses of the two minutes that a datagram may live come late, at
 * a million a second (2^27), the chance that one has the tag of a given later request is 2^27 in 2^64. And even then no
 * id would come twice: a table takes one response to a request, and `ReceivedIds` knows the ids of those that were
 * taken before.
 *
 * The lowest bits of a tag are the request's place in the table. Where the place is taken, the table draws another tag.
 * At least half of the places are free, so it draws twice on average at most, and a look-up is one comparison.
 *
 * The table is no `Map`. V8 rebuilds a map whose entries come and go, and every old table of the map references the
 * next one. Once an old table has reached V8's old generation, it keeps alive all tables after it, with their requests
 * and promises, until the next full garbage collection: a client spent half of its time on moving them.
 */
export class RequestTable<R extends Tagged> {
  #places: (R | undefined)[] = new Array(FIRST_PLACES).fill(undefined);
  #size = 0;
  readonly #random: Pick<RandomWords, "next">;

  /** Makes an empty table. Tests give it random words of their own. */
  constructor(random: Pick<RandomWords, "next"> = new RandomWords()) {
    this.#random = random;
  }

  /** How many requests the table holds. */
  get size(): number {
    return this.#size;
  }

  /** Adds a request, and gives it its tag. */
  add(request: R): void {
    if (this.#size * 2 >= this.#places.length) this.#grow();
    request.tagHigh = this.#random.next();
    do request.tagLow = this.#random.next(); while (this.#places[this.#placeOf(request.tagLow)] !== undefined);
    this.#places[this.#placeOf(request.tagLow)] = request;
    this.#size++;
  }

  /** Returns the request with this tag, if it is under way. */
  get(tagHigh: number, tagLow: number): R | undefined {
    const request = this.#places[this.#placeOf(tagLow)];
    return request?.tagLow === tagLow && request.tagHigh === tagHigh ? request : undefined;
  }

  /** Removes a request, if the table holds it, and returns whether it did. */
  delete(request: R): boolean {
    if (!this.#has(request)) return false;
    this.#places[this.#placeOf(request.tagLow)] = undefined;
    this.#size--;
    return true;
  }

  /** Calls a function with each request, in no certain order. The function may add and delete requests. */
  forEach(call: (request: R) => void): void {
    for (const request of [...this.#places]) if (request !== undefined && this.#has(request)) call(request);
  }

  #has(request: R): boolean {
    return this.#places[this.#placeOf(request.tagLow)] === request;
  }

  #placeOf(tagLow: number): number {
    return tagLow & (this.#places.length - 1);
  }

  /** Doubles the places. Two requests whose places differ have different places afterwards, too. */
  #grow(): void {
    const requests = this.#places;
    this.#places = new Array(requests.length * 2).fill(undefined);
    for (const request of requests) if (request !== undefined) this.#places[this.#placeOf(request.tagLow)] = request;
  }
}
