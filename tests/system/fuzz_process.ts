/**
 * Puts datagrams of all kinds to a worker of a server, and makes sure of each answer. Those that fit a slot go out by
 * the batch, with a good request at its end, and the next batch only when all answers to the one before are here, so
 * that none gets lost; the longer ones go one by one. Now and then it is gone before the answers come. It goes on until
 * its stdin ends.
 *
 * Arguments: the port and the seed. It prints how many have been sent, a line at a time, and ends with an error that
 * names the seed at the first answer that is wrong.
 */
import { ConnectedSocket } from "../../lib/udp/connected_socket.ts";
import { SLOT_BYTES } from "../../lib/udp/udp_socket.ts";
import { ERRORS_PER_OMISSION } from "../../lib/wire/omits_error.ts";
import { writeRangeRequest } from "../../lib/wire/request.ts";
import { hex } from "../wire/bytes.ts";
import { areZero, Fuzzer, judge, MAX_SENT_BYTES, type Verdict, wordAt } from "../wire/fuzz.ts";

/** How many datagrams a batch has at most, besides the good request. */
const MAX_IN_FLIGHT = 64;
/** After so long without an answer, what is in flight counts as lost. */
const LOST_MS = 900;
/** More than a machine loses that is busy with other things. */
const MAX_LOSSES = 20;
/** After how many batches it goes away without waiting for the answers. */
const BATCHES_A_SOCKET = 50;
/** Four times as many as the server omits, since some answers come late. */
const MAX_OMITTED_SHARE = 4 / ERRORS_PER_OMISSION;
/** How often it says how far it is, in datagrams. */
const SAY_EVERY = 10_000;

const [port, seed] = Deno.args.map(Number);
const fuzzer = new Fuzzer(seed);
const server: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };

/** What is in flight, a slot each: the datagram's bytes, its length, and what the server is to make of it. */
const sent = new Uint8Array((MAX_IN_FLIGHT + 1) * SLOT_BYTES);
const lengths = new Uint32Array(MAX_IN_FLIGHT + 1);
const verdicts: Verdict[] = [];

/** The ids of one answer. */
interface IdSpan {
  first: bigint;
  last: bigint;
}

let socket = new ConnectedSocket(server.hostname, port, LOST_MS);
/** The highest id of the batches before, over this socket: whoever answers it, the ids of the next one are above. */
let lastId = -1n;
let losses = 0;
/** How many error answers the server gave or omitted, of those that it may omit. */
let errors = 0;
let omitted = 0;

/** A new socket has a new port, so that late answers do not come to it. */
function renewSocket(): void {
  socket.close();
  socket = new ConnectedSocket(server.hostname, port, LOST_MS);
  lastId = -1n;
}

function lose(): void {
  if (++losses > MAX_LOSSES) throw new Error(`no answer came within ${LOST_MS} ms, for the ${losses}th time`);
  renewSocket();
}

/** Adds datagrams, up to one that does not fit into a slot, and returns how many there are. */
function fill(): number {
  for (let slot = 0; slot < MAX_IN_FLIGHT; slot++) {
    const length = fuzzer.next(socket.slot);
    if (fuzzer.sentLength > SLOT_BYTES) {
      sent.set(slotBytes(), slot * SLOT_BYTES);
      return slot;
    }
    add(slot, length);
  }
  return MAX_IN_FLIGHT;
}

/** Adds the datagram in the socket's slot, and remembers it. */
function add(slot: number, length: number): void {
  sent.set(slotBytes(), slot * SLOT_BYTES);
  lengths[slot] = length;
  verdicts[slot] = judge(slotBytes(), length);
  socket.add(length);
}

function slotBytes(): Uint8Array {
  return new Uint8Array(socket.slot.buffer, socket.slot.byteOffset, SLOT_BYTES);
}

/** Adds a request that is always answered: once it is, the answers to those before are here, or do not come. */
function addGoodRequest(slot: number): void {
  add(slot, writeRangeRequest(socket.slot, 1, fuzzer.word(), fuzzer.word()));
}

/**
 * Receives the answers to the datagrams in the first slots. They come in any order: the placer may give this client's
 * CPU to another worker while some are still in flight.
 */
function receiveAnswers(count: number): void {
  const waiting = new Set<number>();
  for (let slot = 0; slot < count; slot++) if (verdicts[slot] !== "other") waiting.add(slot);
  const ranges: IdSpan[] = [];
  while ([...waiting].some((slot) => verdicts[slot] === "range")) {
    const received = socket.receive(({ buffer, byteOffset }, length) => {
      const answer = new Uint8Array(buffer, byteOffset, length);
      const slot = slotOf(answer, waiting);
      if (slot === undefined) throw new Error(`an answer to nothing that is in flight: ${hex(answer)}`);
      waiting.delete(slot);
      const request = sent.subarray(slot * SLOT_BYTES, slot * SLOT_BYTES + lengths[slot]);
      const wrong = complaint(verdicts[slot], request, answer, ranges);
      if (wrong !== undefined) throw new Error(`${hex(request)} is answered with ${hex(answer)}: ${wrong}`);
    });
    if (received === 0) return lose();
  }
  checkAscending(ranges);
  omitted += waiting.size;
  if (waiting.size > 0) renewSocket(); // they may come late, if another worker got them
}

/**
 * Which of the waiting requests an answer is for: the one with its tag, or, as answers of the basic protocol have none,
 * the first that may have such an answer. If an answer is of the wrong kind, one request is left over in the end or an
 * answer is.
 */
function slotOf(answer: Uint8Array, waiting: Set<number>): number | undefined {
  if (answer.length === 32) {
    const tag = hex(answer.subarray(8, 16));
    return [...waiting].find((slot) =>
      isRange(slot) && tag === hex(sent.subarray(slot * SLOT_BYTES + 8, slot * SLOT_BYTES + 16))
    );
  }
  return [...waiting].find((slot) => verdicts[slot] === "basic");
}

function isRange(slot: number): boolean {
  return verdicts[slot] === "range" || verdicts[slot] === "bad";
}

/**
 * Whatever the order in which the ids of a batch came, they are above those of the batch before, and none is there
 * twice.
 */
function checkAscending(ranges: IdSpan[]): void {
  ranges.sort((a, b) => a.first < b.first ? -1 : 1);
  for (const { first, last } of ranges) {
    if (first <= lastId) throw new Error(`the id ${first} is not above ${lastId}, of the batch before or given twice`);
    lastId = last;
  }
}

/** What is wrong with an answer, if anything is. */
function complaint(verdict: Verdict, request: Uint8Array, answer: Uint8Array, ranges: IdSpan[]): string | undefined {
  const isBasicError = answer.length === 1 && answer[0] === 0x01;
  if (isBasicError || verdict === "bad") errors++;
  if (verdict === "basic") {
    if (isBasicError) return undefined;
    return answer.length === 9 && answer[0] === 0x00
      ? complaintAboutIds(answer, 1, 1, 0n, ranges)
      : "not a basic answer";
  }
  if (answer[0] !== 0x02 || !areZero(answer, 2, 4)) return "not a range response";
  const [status, granted] = [answer[1], wordAt(answer, 4)];
  if (status !== 0 && !(granted === 0 && areZero(answer, 24, 32))) return "granted or a step, and no ids";
  if (verdict === "bad") return status === 4 ? undefined : "not the status of a bad request";
  if (status !== 0) return [1, 2, 5].includes(status) ? undefined : "a status that there is no reason for";
  if (granted === 0 || granted > wordAt(request, 4)) return "granted none, or more than the count";
  const step = new DataView(answer.buffer, answer.byteOffset).getBigUint64(24);
  return step > 0n ? complaintAboutIds(answer, 16, granted, step, ranges) : "a step of 0";
}

/** Notes the ids of an answer, unless they are more than 64 bits wide. */
function complaintAboutIds(
  answer: Uint8Array,
  offset: number,
  count: number,
  step: bigint,
  ranges: IdSpan[],
): string | undefined {
  const first = new DataView(answer.buffer, answer.byteOffset).getBigUint64(offset);
  const last = first + BigInt(count - 1) * step;
  ranges.push({ first, last });
  return last < 2n ** 64n ? undefined : "an id of more than 64 bits";
}

/** What is longer than a slot is no request, whatever it begins with: a good request behind it gets the only answer. */
const long = new Uint8Array(MAX_SENT_BYTES);
let longSocket = Deno.listenDatagram({ transport: "udp", hostname: server.hostname, port: 0 });

async function sendLong(beginning: Uint8Array, length: number): Promise<void> {
  long.set(beginning);
  const good = new Uint8Array(SLOT_BYTES);
  const goodLength = writeRangeRequest(new DataView(good.buffer), 1, fuzzer.word(), fuzzer.word());
  await longSocket.send(long.subarray(0, length), server);
  await longSocket.send(good.subarray(0, goodLength), server);
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, LOST_MS);
  const received = await Promise.race([longSocket.receive(), late.promise]);
  clearTimeout(timer);
  if (received === undefined) {
    longSocket.close();
    longSocket = Deno.listenDatagram({ transport: "udp", hostname: server.hostname, port: 0 });
    return lose();
  }
  if (hex(received[0].subarray(8, 16)) === hex(good.subarray(8, 16))) return;
  throw new Error(`${length} bytes, ${hex(beginning)}..., are answered with ${hex(received[0])}`);
}

let isStopped = false;
(async () => {
  for await (const _ of Deno.stdin.readable);
  isStopped = true;
})();

let done = 0;
let said = 0;
try {
  for (let batches = 1; !isStopped; batches++) {
    const count = fill();
    const isLong = count < MAX_IN_FLIGHT;
    const long = sent.slice(count * SLOT_BYTES, (count + 1) * SLOT_BYTES);
    const longLength = fuzzer.sentLength;
    addGoodRequest(count);
    socket.send();
    if (batches % BATCHES_A_SOCKET === 0) renewSocket();
    else receiveAnswers(count + 1);
    done += count;
    if (isLong) {
      await sendLong(long, longLength);
      done++;
    }
    if (done - said >= SAY_EVERY) console.log(said = done);
  }
  if (omitted > MAX_OMITTED_SHARE * errors) throw new Error(`${omitted} errors were omitted, and ${errors} were not`);
} catch (error) {
  console.error(`seed ${seed}, among the 64 datagrams after ${done}: ${(error as Error).message}`);
  Deno.exit(1);
}
Deno.exit(0);
