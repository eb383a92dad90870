import { setImmediate } from "node:timers";
import { sleep } from "../base/sleep.ts";
import { type Libc, linux, openLibc } from "../libc/libc.ts";
import { isClientPort } from "./client_port.ts";
import { FairShare } from "./fair_share.ts";
import { RawSocket } from "./raw_socket.ts";
import { MAX_MESSAGES, ReceiveBatch } from "./receive_batch.ts";
import { SendBatch } from "./send_batch.ts";
import { PORT } from "./socket_address.ts";
import { SourceAddress } from "./source_address.ts";
import type { BatchListener, Drops, Respond, UdpSocket, UdpSocketOptions } from "./udp_socket.ts";

/** Where to bind a socket that shares its port. */
export interface ReuseportOptions extends UdpSocketOptions {
  /**
   * The CPU whose datagrams the socket gets (SO_INCOMING_CPU; the sockets of a port share the work by CPU since Linux
   * 6.2). For a process that is pinned to this CPU: an answer from another CPU costs a wake-up across CPUs. Left out: a
   * hash of the sender decides.
   */
  incomingCpu?: number;
}

/** How much a socket has received in some time. */
export interface Traffic {
  /** How many messages came. A message is a datagram, or several of one sender that the kernel handed over as one. */
  messages: number;
  /** How many receives brought them. Receives without a message do not count. */
  receives: number;
}

/** A socket that shares its port with other sockets. */
export interface ReuseportSocket extends UdpSocket {
  /**
   * Sets the CPU whose datagrams the socket gets (see {@linkcode ReuseportOptions}); -1: a hash of the sender decides.
   */
  setIncomingCpu(cpu: number): void;

  /**
   * Leaves the sockets that share the port. The kernel deals the datagrams that come from now on to the others. This
   * socket still answers the datagrams in its queue.
   */
  leaveGroup(): void;

  /** Returns how much the socket has received since the last call. */
  takeTraffic(): Traffic;
}

/**
 * After how long without a datagram, in ms, the socket waits for the next one in another thread, so that the event loop
 * is idle. The way back from that thread takes about 0.1 ms, too much for every datagram.
 */
const RECEIVE_TIMEOUT_MS = 100;

/**
 * How many times a worker yields its CPU and polls again before it blocks; a yield takes 1 us if no other process wants
 * the CPU. A client on this CPU uses the yield to send all of its requests: a blocked worker would interrupt the client
 * after the first. A client on another CPU need not wake up this CPU, which takes longer than all the rest of an
 * answer.
 */
const MAX_YIELDS = 20;

/**
 * How long other processes may keep the CPU after a yield, in ms. Clients keep it for less, since they soon wait for
 * answers. After a longer yield, the worker blocks without yielding for some time: Linux gives the CPU back to a
 * blocked process when a datagram comes.
 */
const MAX_YIELD_MS = 1;

/**
 * For how long a worker does not yield after a yield that was too long, in ms: the first time {@linkcode MIN_PAUSE_MS},
 * since the hypervisor may have kept the CPU, and then twice as long each time, up to {@linkcode MAX_PAUSE_MS}.
 */
const MIN_PAUSE_MS = 20;
/** The longest time without yields, in ms: see {@linkcode MIN_PAUSE_MS}. */
const MAX_PAUSE_MS = 2000;

/** How long the socket waits after a receive that failed, in ms. */
const FAILURE_PAUSE_MS = 10;

/** How long a wait in another thread lasts at most, in ms. */
const IDLE_WAIT_MS = 60_000;

/**
 * Room for the datagrams that come while the worker answers others. The kernel counts about 1.1 KiB for a small
 * datagram. It grants twice net.core.rmem_max at most (212,992 bytes by default), which is twice the default room:
 * about 380 datagrams.
 */
const RECEIVE_BUFFER_BYTES = 4 * 2 ** 20;

/**
 * How many bytes of the kernel's memory a full receive may leave in the queue before the worker divides it among its
 * senders: see `FairShare`. A message of 64 range requests takes 4.3 KiB, one of 64 basic requests 0.8. So 7,500 range
 * requests or more may be in flight to one worker, and what comes behind so many basic ones waits for about 2 ms. Where
 * the kernel grants a smaller buffer, half of it counts. (The kernel counts up to a quarter of the buffer too much.)
 */
const MAX_QUEUED_BYTES = 2 ** 19;

/**
 * Room for the answers that wait in the kernel, for the network card or for the address of a neighbour. The kernel lets
 * answers to one neighbour that does not resolve fill 212,992 bytes, for 3 s: all of the default room. Spoofed senders
 * can bring that about. The kernel grants twice net.core.wmem_max at most. An answer without room is lost: if the
 * worker waited, every other client would wait, too.
 */
const SEND_BUFFER_BYTES = 4 * 2 ** 20;

/**
 * For how many ms of answering the event loop gets a turn. A turn takes 4 us, and more where clients want the CPU: 20
 * turns in a row made them wait for 1 to 2 ms.
 */
const MS_PER_TURN = 12;

/** How many turns the event loop gets in a row at most. It takes about 20 turns to read a message on stdin. */
const MAX_TURNS = 20;

/**
 * Binds a socket that shares its port with other sockets of this user (SO_REUSEPORT). The kernel deals the datagrams
 * out among them. Linux only, through libc, since Deno has no such option for UDP.
 *
 * @param options Where to bind the socket.
 * @param libc The functions of libc.
 * @returns The socket.
 * @throws {TypeError} If the hostname is not an IP address.
 * @throws {Deno.errors.AddrInUse} If a socket has the port that does not share it, or another user's socket has it.
 * @throws {Deno.errors.NotCapable} If the permission `--allow-ffi` is missing.
 * @throws {Deno.errors.NotSupported} If this is not Linux with glibc.
 */
export function bindReuseport(options: ReuseportOptions, libc: Libc = openLibc()): ReuseportSocket {
  const { hostname, incomingCpu } = options;
  const socket = new RawSocket(hostname, options.port, RECEIVE_TIMEOUT_MS, libc);
  socket.setOption(linux.SO_REUSEPORT, Int32Array.of(1));
  socket.setOption(linux.SO_RCVBUF, Int32Array.of(RECEIVE_BUFFER_BYTES));
  socket.setOption(linux.SO_SNDBUF, Int32Array.of(SEND_BUFFER_BYTES));
  if (incomingCpu !== undefined) setIncomingCpu(incomingCpu);
  socket.useLocalAddresses();
  socket.bind();
  const received = new ReceiveBatch(socket);
  const answers = new SendBatch(socket, { mayWait: false });
  const share = new FairShare(MAX_MESSAGES, socket.addressLength);
  const maxQueuedBytes = Math.min(MAX_QUEUED_BYTES, socket.maxQueuedBytes / 2);
  const source = new SourceAddress();
  let traffic = { messages: 0, receives: 0 };
  let notFromClient = 0;
  let shed = 0;
  /** How many datagrams the kernel had dropped when the drops were last taken, modulo 2^32. */
  let takenOverflow = 0;
  let receivedMs = Date.now();
  /**
   * When other processes last kept the CPU for longer than {@linkcode MAX_YIELD_MS}, and for how long not to yield from
   * then on.
   */
  let heldUpMs = -Infinity;
  let pauseMs = 0;
  let isServing = false;
  let closed = false;

  async function serve(respond: Respond, listener?: BatchListener): Promise<void> {
    isServing = true;
    try {
      while (!closed) {
        const turns = answerBatches(respond, listener);
        if (turns > 0) await turnEventLoop(turns);
        else if (received.isFailing) await sleep(FAILURE_PAUSE_MS);
        else await socket.waitForDatagram(IDLE_WAIT_MS);
      }
    } finally {
      socket.close(); // or else, after an error, the kernel would go on to deal it datagrams
    }
  }

  /**
   * Answers datagrams, batch by batch, until the event loop is due a turn.
   *
   * @returns How many turns the event loop is due; 0 if no datagram came within {@linkcode RECEIVE_TIMEOUT_MS}, or if
   * the receive failed.
   */
  function answerBatches(respond: Respond, listener: BatchListener | undefined): number {
    const beginMs = Date.now();
    let turns: number;
    do {
      const messages = receive();
      if (messages === 0) return 0;
      traffic.messages += messages;
      traffic.receives++;
      if (isOverloaded(messages)) answerShares(messages, respond, listener);
      else answerAll(messages, respond, listener);
      listener?.onBatchEnd();
      answers.flush();
      turns = Math.floor(Math.abs(receivedMs - beginMs) / MS_PER_TURN); // abs: the clock may be set back
    } while (turns === 0);
    return Math.min(turns, MAX_TURNS);
  }

  /** Receives messages: without waiting if there are any, then after yielding the CPU, then by blocking. */
  function receive(): number {
    let messages = received.poll();
    if (messages === 0 && Math.abs(receivedMs - heldUpMs) >= pauseMs) messages = receiveAfterYield();
    if (messages === 0) messages = received.receive();
    receivedMs = Date.now();
    return messages;
  }

  /** Lets the other processes of this CPU run, and receives the messages that come meanwhile. */
  function receiveAfterYield(): number {
    let messages = 0;
    for (let yields = 0; messages === 0 && yields < MAX_YIELDS; yields++) {
      socket.libc.sched_yield();
      messages = received.poll();
    }
    const nowMs = Date.now();
    if (Math.abs(nowMs - receivedMs) <= MAX_YIELD_MS) {
      pauseMs = 0;
    } else {
      heldUpMs = nowMs;
      pauseMs = Math.min(Math.max(2 * pauseMs, MIN_PAUSE_MS), MAX_PAUSE_MS);
    }
    return messages;
  }

  /** Whether a receive leaves so much in the queue that others wait long: see {@linkcode MAX_QUEUED_BYTES}. */
  function isOverloaded(messages: number): boolean {
    return messages === MAX_MESSAGES && socket.queuedBytes > maxQueuedBytes;
  }

  function answerAll(messages: number, respond: Respond, listener: BatchListener | undefined): void {
    listener?.onBatch(received.datagrams);
    for (let message = 0; message < messages; message++) {
      answerMessage(message, received.datagramsIn(message), respond);
    }
  }

  /** Answers each sender's share, and drops the other datagrams unread. */
  function answerShares(messages: number, respond: Respond, listener: BatchListener | undefined): void {
    const datagrams = share.divide(received, messages);
    shed += received.datagrams - datagrams;
    listener?.onBatch(datagrams);
    for (let message = 0; message < messages; message++) {
      const quota = share.quotaOf(message);
      if (quota > 0) answerMessage(message, quota, respond);
    }
  }

  /** Answers the first datagrams of a message. */
  function answerMessage(message: number, datagrams: number, respond: Respond): void {
    const sender = received.senders[message];
    if (!isClientPort(sender.getUint16(PORT))) {
      notFromClient++;
      return;
    }
    source.readSockaddr(sender);
    received.open(message);
    answers.sendTo(sender, received.localAddress);
    const { slot } = answers;
    for (; datagrams > 0; datagrams--) {
      const length = respond(slot, received.read(slot), source);
      if (length > 0) answers.add(length);
    }
  }

  function setIncomingCpu(cpu: number): void {
    socket.setOption(linux.SO_INCOMING_CPU, Int32Array.of(cpu));
  }

  function takeTraffic(): Traffic {
    const taken = traffic;
    traffic = { messages: 0, receives: 0 };
    return taken;
  }

  function takeDrops(): Drops {
    const overflow = socket.drops;
    const drops = { notFromClient, shed, overflowed: overflow - takenOverflow >>> 0 };
    takenOverflow = overflow;
    notFromClient = shed = 0;
    return drops;
  }

  function readClock(): boolean {
    const beforeMs = receivedMs;
    receivedMs = Date.now();
    return receivedMs !== beforeMs;
  }

  function close(): void {
    closed = true;
    if (isServing) socket.wake();
    else socket.close();
  }

  return {
    hostname,
    port: socket.port,
    get receivedMs() {
      return receivedMs;
    },
    readClock,
    serve,
    close,
    leaveGroup: () => socket.leaveGroup(),
    setIncomingCpu,
    takeTraffic,
    takeDrops,
  };
}

/**
 * Gives the event loop turns, for timers, signals and messages. With `setTimeout`, each turn would take a millisecond
 * or two.
 */
async function turnEventLoop(turns: number): Promise<void> {
  for (; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
}
