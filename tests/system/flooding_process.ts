/**
 * Asks a server for ids as fast as it can: over a few sockets, of which each has a batch of requests in flight, of a
 * length by chance, while the others' are answered. The requests are for single ids or for ranges, by chance as well.
 * It records what became of each.
 *
 * Arguments: the port, the file of the records, the number of sockets, how many requests to send, and the seed.
 */
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { ConnectedSocket } from "../../lib/udp/connected_socket.ts";
import { writeBasicRequest, writeRangeRequest } from "../../lib/wire/request.ts";
import { readBasicResponse, readRangeResponse } from "../../lib/wire/response.ts";
import { monotonicNs } from "./monotonic_clock.ts";
import { RecordWriter, type RequestRecord } from "./request_records.ts";

const MAX_IN_FLIGHT = 64;
const MAX_IDS_PER_RANGE = 4;
/**
 * How long it waits for an answer at a time, in ms; and after how many times without one, what is in flight counts as
 * lost.
 */
const WAIT_MS = 900;
const MAX_SILENCES = 30;

const [port, , socketCount, total, seed] = Deno.args.map(Number);
const records = new RecordWriter(Deno.args[1]);
const random = xoroshiro128plus(seed);

/** A socket, and what is in flight there: since when, how many single ids, and of each range how many ids. */
class Asker {
  readonly #socket = new ConnectedSocket("127.0.0.1", port, WAIT_MS);
  #sentNs = 0;
  #singles = 0;
  readonly #ranges = new Map<number, number>();

  /** Sends a batch, and returns how many requests it has. */
  send(): number {
    const count = uniformInt(random, 1, MAX_IN_FLIGHT);
    const isOfRanges = uniformInt(random, 0, 1) === 1;
    for (let i = 0; i < count; i++) {
      const wanted = uniformInt(random, 1, MAX_IDS_PER_RANGE);
      if (isOfRanges) this.#ranges.set(i, wanted);
      else this.#singles++;
      const { slot } = this.#socket;
      this.#socket.add(isOfRanges ? writeRangeRequest(slot, wanted, 0, i) : writeBasicRequest(slot));
    }
    this.#sentNs = monotonicNs();
    this.#socket.send();
    return count;
  }

  /** Receives all answers. */
  receive(): void {
    let silences = 0;
    while (this.#singles + this.#ranges.size > 0) {
      let receivedNs = 0;
      const count = this.#socket.receive((response, length) => {
        receivedNs ||= monotonicNs();
        this.#record(response, length, receivedNs);
      });
      silences = count === 0 ? silences + 1 : 0;
      if (silences > MAX_SILENCES) throw new Error(`no answer came within ${MAX_SILENCES * WAIT_MS} ms`);
    }
  }

  #record(response: DataView, length: number, receivedNs: number): void {
    const record: RequestRecord = { sentNs: this.#sentNs, receivedNs, first: 0n, last: 0n, wanted: 1, granted: 0 };
    const range = readRangeResponse(response, length);
    if (range === undefined) {
      this.#singles--;
      const id = readBasicResponse(response, length);
      if (id !== undefined) [record.first, record.last, record.granted] = [id, id, 1];
    } else {
      const wanted = this.#ranges.get(range.tagLow);
      if (wanted === undefined) throw new Error("an answer to a request that was not sent, or a second one");
      record.wanted = wanted;
      this.#ranges.delete(range.tagLow);
      record.granted = range.granted;
      record.first = range.first;
      record.last = range.first + range.step * BigInt(Math.max(range.granted, 1) - 1);
    }
    records.add(record);
  }
}

const askers = Array.from({ length: socketCount }, () => new Asker());
for (let sent = 0; sent < total;) {
  for (const asker of askers) {
    asker.receive();
    sent += asker.send();
  }
}
for (const asker of askers) asker.receive();
records.flush();
Deno.exit(0);
