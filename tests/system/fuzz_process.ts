/**
 * Puts datagrams of all kinds to a worker of a server, and makes sure of each answer. Those that fit a slot go out by
 * the batch, and the next batch only when all answers to the one before are here, so that none gets lost; the longer
 * ones go one by one. Now and then it is gone before the answers come. It goes on until its stdin ends.
 *
 * Arguments: the port and the seed. It prints how many have been sent, a line at a time, and ends with an error that
 * names the seed at the first answer that is wrong.
 */
import { ConnectedSocket } from "../../lib/udp/connected_socket.ts";
import { SLOT_BYTES } from "../../lib/udp/udp_socket.ts";
import { hex } from "../wire/bytes.ts";
import { areZero, Fuzzer, judge, MAX_SENT_BYTES, type Verdict, wordAt } from "../wire/fuzz.ts";

/** How many datagrams are in flight at most. */
const MAX_IN_FLIGHT = 64;
/** After so long without an answer, what is in flight counts as lost. */
const LOST_MS = 900;
/** More than a machine loses that is busy with other things. */
const MAX_LOSSES = 20;
/** After how many batches it goes away without waiting for the answers. */
const BATCHES_A_SOCKET = 50;
/** How often it says how far it is, in datagrams. */
const SAY_EVERY = 10_000;

const [port, seed] = Deno.args.map(Number);
const fuzzer = new Fuzzer(seed);
const server: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };

/** What is in flight, a slot each: the datagram's bytes, its length, and what the server is to make of it. */
const sent = new Uint8Array(MAX_IN_FLIGHT * SLOT_BYTES);
const lengths = new Uint32Array(MAX_IN_FLIGHT);
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
    const bytes = new Uint8Array(socket.slot.buffer, socket.slot.byteOffset, SLOT_BYTES);
    sent.set(bytes, slot * SLOT_BYTES);
    if (fuzzer.sentLength > SLOT_BYTES) return slot;
    lengths[slot] = length;
    verdicts[slot] = judge(bytes, length);
    socket.add(length);
  }
  return MAX_IN_FLIGHT;
}

/**
 * Receives the answers to the datagrams in the first slots. They come in any order: the placer may give this client's
 * CPU to another worker while some are still in flight.
 */
function receiveAnswers(count: number): void {
  const waiting = new Set<number>();
  for (let slot = 0; slot < count; slot++) if (verdicts[slot] !== "own") waiting.add(slot);
  const ranges: IdSpan[] = [];
  while (waiting.size > 0) {
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
  const isError = answer.length === 1;
  const slots = [...waiting].filter((slot) => !isRange(slot));
  return (isError ? slots.find((slot) => verdicts[slot] === "other") : undefined) ??
    slots.find((slot) => verdicts[slot] === "basic");
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
  if (verdict === "other") return isBasicError ? undefined : "not the basic error";
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

/** What is longer than a slot is no request, whatever it begins with. */
const long = new Uint8Array(MAX_SENT_BYTES);
let longSocket = Deno.listenDatagram({ transport: "udp", hostname: server.hostname, port: 0 });

async function sendLong(beginning: Uint8Array, length: number): Promise<void> {
  long.set(beginning);
  await longSocket.send(long.subarray(0, length), server);
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, LOST_MS);
  const received = await Promise.race([longSocket.receive(), late.promise]);
  clearTimeout(timer);
  if (received === undefined) {
    longSocket.close();
    longSocket = Deno.listenDatagram({ transport: "udp", hostname: server.hostname, port: 0 });
    return lose();
  }
  const wrong = complaint("other", beginning, received[0], []);
  if (wrong === undefined) return;
  throw new Error(`${length} bytes, ${hex(beginning)}..., are answered with ${hex(received[0])}: ${wrong}`);
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
    socket.send();
    if (batches % BATCHES_A_SOCKET === 0) renewSocket();
    else receiveAnswers(count);
    done += count;
    if (count < MAX_IN_FLIGHT) {
      await sendLong(sent.slice(count * SLOT_BYTES, (count + 1) * SLOT_BYTES), fuzzer.sentLength);
      done++;
    }
    if (done - said >= SAY_EVERY) console.log(said = done);
  }
} catch (error) {
  console.error(`seed ${seed}, among the 64 datagrams after ${done}: ${(error as Error).message}`);
  Deno.exit(1);
}
Deno.exit(0);
