/**
 * Puts datagrams of all kinds to a worker of a server, and makes sure of each answer. Those that fit a slot go out by the batch, and
 * the next batch only when all answers to the one before are here, so that none gets lost; the longer ones go one by one. Now
 * and then it is gone before the answers come. It goes on until its stdin ends.
 *
 * Arguments: the port and the seed. It prints how many have been sent, a line at a time, and ends with an error that names the
 * seed at the first answer that is wrong.
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
const MAX_LOSSES = 5;
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

let socket = new ConnectedSocket(server.hostname, port, LOST_MS);
/** The last id that came over this socket: there is one worker at its other end, whose ids ascend. */
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

/** Receives the answers to the datagrams in the first slots, which come in the same order. */
function receiveAnswers(count: number): void {
  let slot = 0;
  while (true) {
    while (slot < count && verdicts[slot] === "own") slot++;
    if (slot === count) return;
    const received = socket.receive(({ buffer, byteOffset }, length) => {
      while (slot < count && verdicts[slot] === "own") slot++;
      const answer = new Uint8Array(buffer, byteOffset, length);
      if (slot === count) throw new Error(`an answer to nothing: ${hex(answer)}`);
      const request = sent.subarray(slot * SLOT_BYTES, slot * SLOT_BYTES + lengths[slot]);
      const wrong = complaint(verdicts[slot++], request, answer);
      if (wrong !== undefined) throw new Error(`${hex(request)} is answered with ${hex(answer)}: ${wrong}`);
    });
    if (received === 0) return lose();
  }
}

/** What is wrong with an answer, if anything is. */
function complaint(verdict: Verdict, request: Uint8Array, answer: Uint8Array): string | undefined {
  const isBasicError = answer.length === 1 && answer[0] === 0x01;
  if (verdict === "other") return isBasicError ? undefined : "not the basic error";
  if (verdict === "basic") {
    if (isBasicError) return undefined;
    return answer.length === 9 && answer[0] === 0x00 ? complaintAboutIds(answer, 1, 1, 0n) : "not a basic answer";
  }
  if (answer.length !== 32 || answer[0] !== 0x02 || !areZero(answer, 2, 4)) return "not a range response";
  if (hex(answer.subarray(8, 16)) !== hex(request.subarray(8, 16))) return "another tag";
  const [status, granted] = [answer[1], wordAt(answer, 4)];
  if (status !== 0 && !(granted === 0 && areZero(answer, 24, 32))) return "granted or a step, and no ids";
  if (verdict === "bad") return status === 4 ? undefined : "not the status of a bad request";
  if (status !== 0) return [1, 2, 5].includes(status) ? undefined : "a status that there is no reason for";
  if (granted === 0 || granted > wordAt(request, 4)) return "granted none, or more than the count";
  const step = new DataView(answer.buffer, answer.byteOffset).getBigUint64(24);
  return step > 0n ? complaintAboutIds(answer, 16, granted, step) : "a step of 0";
}

function complaintAboutIds(answer: Uint8Array, offset: number, count: number, step: bigint): string | undefined {
  const first = new DataView(answer.buffer, answer.byteOffset).getBigUint64(offset);
  if (first <= lastId) return `an id that is not above the last one, ${lastId}`;
  lastId = first + BigInt(count - 1) * step;
  return lastId < 2n ** 64n ? undefined : "an id of more than 64 bits";
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
  const wrong = complaint("other", beginning, received[0]);
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
