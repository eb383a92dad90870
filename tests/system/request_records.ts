/**
 * A record is five words of 64 bits: when sent, when received, the first id, the last one, and how many were wanted and
 * granted.
 */
const WORDS = 5;
export const RECORD_BYTES = WORDS * 8;

/** As this machine's arrays are, with which records are read. */
const IS_LITTLE_ENDIAN = true;

/** How many records are written at once. */
const AT_ONCE = 1024;

/** What became of a request. */
export interface RequestRecord {
  /** When it was sent, at the latest a moment before; see `monotonicNs`. */
  sentNs: number;
  /** When the answer was received, or a moment after; infinite if there was none. */
  receivedNs: number;
  /** The ids, if there are any. */
  first: bigint;
  last: bigint;
  /** How many ids were asked for. */
  wanted: number;
  /** How many there are: 0 if the request was refused. */
  granted: number;
}

/** Writes down what became of requests. */
export class RecordWriter {
  readonly #file: Deno.FsFile;
  readonly #bytes = new Uint8Array(AT_ONCE * RECORD_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  #length = 0;

  constructor(path: string) {
    this.#file = Deno.openSync(path, { write: true, create: true });
  }

  add({ sentNs, receivedNs, first, last, wanted, granted }: RequestRecord): void {
    const begin = this.#length;
    this.#view.setFloat64(begin, sentNs, IS_LITTLE_ENDIAN);
    this.#view.setFloat64(begin + 8, receivedNs, IS_LITTLE_ENDIAN);
    this.#view.setBigUint64(begin + 16, first, IS_LITTLE_ENDIAN);
    this.#view.setBigUint64(begin + 24, last, IS_LITTLE_ENDIAN);
    this.#view.setUint32(begin + 32, wanted, IS_LITTLE_ENDIAN);
    this.#view.setUint32(begin + 36, granted, IS_LITTLE_ENDIAN);
    this.#length += RECORD_BYTES;
    if (this.#length === this.#bytes.length) this.flush();
  }

  flush(): void {
    for (let begin = 0; begin < this.#length;) begin += this.#file.writeSync(this.#bytes.subarray(begin, this.#length));
    this.#length = 0;
  }
}

/** What became of all requests of several processes. */
export class RequestRecords {
  /** How many there are. */
  readonly count: number;
  /** How many requests were not answered; were answered, but got no id; got fewer ids than they asked for. */
  readonly unanswered: number;
  readonly refused: number;
  readonly short: number;

  // Of those that got ids:
  readonly #sentNs: Float64Array;
  readonly #receivedNs: Float64Array;
  readonly #first: BigUint64Array;
  readonly #last: BigUint64Array;

  private constructor(bytes: Uint8Array<ArrayBuffer>) {
    const numbers = new Float64Array(bytes.buffer);
    const ids = new BigUint64Array(bytes.buffer);
    const counts = new Uint32Array(bytes.buffer);
    this.count = ids.length / WORDS;
    const all = Array.from({ length: this.count }, (_, i) => i);
    const wanted = (i: number) => counts[2 * (i * WORDS + 4)];
    const granted = (i: number) => counts[2 * (i * WORDS + 4) + 1];
    const answered = all.filter((i) => numbers[i * WORDS + 1] < Infinity);
    const successes = answered.filter((i) => granted(i) > 0);
    this.unanswered = this.count - answered.length;
    this.refused = answered.length - successes.length;
    this.short = successes.filter((i) => granted(i) < wanted(i)).length;
    this.#sentNs = Float64Array.from(successes, (i) => numbers[i * WORDS]);
    this.#receivedNs = Float64Array.from(successes, (i) => numbers[i * WORDS + 1]);
    this.#first = BigUint64Array.from(successes, (i) => ids[i * WORDS + 2]);
    this.#last = BigUint64Array.from(successes, (i) => ids[i * WORDS + 3]);
  }

  /** Reads what several processes have written. */
  static async read(paths: string[]): Promise<RequestRecords> {
    const files = await Promise.all(paths.map((path) => Deno.readFile(path)));
    return new RequestRecords(new Uint8Array(await new Blob(files).arrayBuffer()));
  }

  /** How many requests got ids. */
  get successes(): number {
    return this.#first.length;
  }

  /** How many of them got an id that is not above all that had been received, by anybody, before they were sent. */
  get outOfOrder(): number {
    const byReceived = Uint32Array.from(this.#first, (_, i) => i);
    byReceived.sort((a, b) => this.#receivedNs[a] - this.#receivedNs[b]);
    const receivedNs = Float64Array.from(byReceived, (i) => this.#receivedNs[i]);
    const highest = BigUint64Array.from(byReceived, (i) => this.#last[i]);
    for (let i = 1; i < highest.length; i++) if (highest[i] < highest[i - 1]) highest[i] = highest[i - 1];
    let violations = 0;
    for (let i = 0; i < this.successes; i++) {
      const received = countBelow(receivedNs, this.#sentNs[i]);
      if (received > 0 && this.#first[i] <= highest[received - 1]) violations++;
    }
    return violations;
  }

  /**
   * How many requests got ids that others got too: where the ids of each lie next to each other, with none of others
   * between.
   */
  get repeated(): number {
    // As the i-th begins, the i - 1 before it have ended; whose end that is plays no part.
    const first = this.#first.toSorted();
    const last = this.#last.toSorted();
    let repeated = 0;
    for (let i = 1; i < first.length; i++) if (first[i] <= last[i - 1]) repeated++;
    return repeated;
  }
}

/** How many of the numbers, which ascend, are below a limit. */
function countBelow(numbers: Float64Array, limit: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
