/**
 * Asks a server for ids over several sockets, each of which sends its next request once it has the answer to the one
 * before: for single ids and ranges by turns. It records what became of each request, and goes on until its stdin ends.
 *
 * Arguments: the port, the file of the records, the number of sockets, how long an answer is waited for, and how long
 * each socket pauses after it, both in ms.
 */
import { BASIC_SUCCESS_BYTES } from "../../lib/wire/protocol.ts";
import { writeBasicRequest, writeRangeRequest } from "../../lib/wire/request.ts";
import { readBasicResponse, readRangeResponse } from "../../lib/wire/response.ts";
import { monotonicNs } from "./monotonic_clock.ts";
import { RecordWriter } from "./request_records.ts";

const MAX_IDS_PER_RANGE = 20;

/** How often it is looked who has waited for too long, and records are written to the file, in ms. */
const LOOK_MS = 5;

/**
 * After so many requests, a socket gets another port, since its port is what decides by which of several workers it is
 * answered.
 */
const REQUESTS_A_PORT = 100;

/** What a refusal grants. */
const NOTHING = { first: 0n, granted: 0, step: 0n };

const [port, , socketCount, patienceMs, pauseMs] = Deno.args.map(Number);
const records = new RecordWriter(Deno.args[1]);
const server: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
let isStopped = false;

let socketsMade = 0;

/**
 * An address of this machine that no socket had before. A port alone would soon be another socket's, which would take
 * an answer that comes late for one to a request of its own; and the address must not be the server's, whose port might
 * be given away while it is not there.
 */
function newAddress(): string {
  const number = socketsMade++;
  return `127.${1 + Deno.pid % 250}.${Math.floor(number / 250) % 250}.${1 + number % 250}`;
}

/** A socket, which is closed when it has waited for an answer for too long. */
class Socket {
  readonly conn = Deno.listenDatagram({ transport: "udp", hostname: newAddress(), port: 0 });
  isClosed = false;
  /** Since when it waits; infinite while it does not. */
  waitingMs = Infinity;

  /** Sends a request, and returns how long its answer is; `undefined` if that was waited for in vain. */
  async exchange(request: Uint8Array, response: Uint8Array): Promise<number | undefined> {
    this.waitingMs = performance.now();
    try {
      await this.conn.send(request, server);
      return (await this.conn.receive(response))[0].length;
    } catch (error) {
      if (this.isClosed) return undefined;
      throw error;
    } finally {
      this.waitingMs = Infinity;
    }
  }

  close(): void {
    if (!this.isClosed) this.conn.close();
    this.isClosed = true;
  }
}

const sockets = Array.from({ length: socketCount }, () => new Socket());

const timer = setInterval(() => {
  records.flush();
  const beforeMs = performance.now() - patienceMs;
  for (const socket of sockets) if (socket.waitingMs < beforeMs) socket.close();
}, LOOK_MS);

async function ask(place: number): Promise<void> {
  const request = new Uint8Array(64);
  const response = new Uint8Array(64);
  const view = new DataView(response.buffer);
  for (let turn = 0; !isStopped; turn++) {
    if (turn % REQUESTS_A_PORT === REQUESTS_A_PORT - 1) sockets[place].close();
    if (sockets[place].isClosed) sockets[place] = new Socket();
    const isRange = turn % 2 === 1;
    const wanted = isRange ? 1 + turn % MAX_IDS_PER_RANGE : 1;
    const slot = new DataView(request.buffer);
    const length = isRange ? writeRangeRequest(slot, wanted, place, turn) : writeBasicRequest(slot);
    const sentNs = monotonicNs();
    const answerBytes = await sockets[place].exchange(request.subarray(0, length), response);
    const receivedNs = answerBytes === undefined ? Infinity : monotonicNs();
    const { first, granted, step } = answerBytes === undefined ? NOTHING : read(view, answerBytes);
    const last = first + step * BigInt(Math.max(granted, 1) - 1);
    records.add({ sentNs, receivedNs, first, last, wanted, granted });
    if (pauseMs > 0 && answerBytes !== undefined) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

function read(view: DataView, length: number): { first: bigint; granted: number; step: bigint } {
  if (length !== BASIC_SUCCESS_BYTES) return readRangeResponse(view, length) ?? NOTHING;
  const first = readBasicResponse(view, length);
  return first === undefined ? NOTHING : { first, granted: 1, step: 0n };
}

const asked = Promise.all(sockets.map((_, place) => ask(place)));
for await (const _ of Deno.stdin.readable);
isStopped = true;
await asked;
clearInterval(timer);
records.flush();
