import { setImmediate } from "node:timers";
import { linux } from "../libc/libc.ts";
import { RawSocket } from "./_raw_socket.ts";
import { ReceiveBatch } from "./_receive_batch.ts";
import { SendBatch } from "./_send_batch.ts";
import { SourceAddress } from "./source_address.ts";
import type { BatchListener, Respond, UdpSocket, UdpSocketOptions } from "./udp_socket.ts";

/** Where a reuseport socket is to be bound. */
export interface ReuseportOptions extends UdpSocketOptions {
  /**
   * Take what arrives on this CPU, as far as the sockets of the port share the work by CPU (SO_INCOMING_CPU, Linux 6.2
   * and later). For a process that is pinned to that CPU: an answer from another one costs a wake-up across CPUs.
   */
  incomingCpu?: number;
}

/** What a socket has received in a while. */
export interface Traffic {
  /** How many messages: datagrams, or several of one sender that the kernel handed over as one. */
  messages: number;
  /** With how many receives that brought any. */
  receives: number;
}

/** A socket that shares its port. */
export interface ReuseportSocket extends UdpSocket {
  /** From now on, takes what arrives on this CPU (see {@linkcode ReuseportOptions}), or with -1 what a hash of the sender gives it. */
  setIncomingCpu(cpu: number): void;

  /**
   * Has the kernel deal the datagrams that come from now on to the others that share the port. Those that are here already are answered
   * as before.
   */
  leaveGroup(): void;

  /** What has come since this was last called. */
  takeTraffic(): Traffic;
}

/**
 * After so long without a datagram, in ms, the wait for the next one goes on in another thread, and this one has nothing to do any
 * more. To come back from there takes about 0.1 ms, which would be too much for every datagram.
 */
const RECEIVE_TIMEOUT_MS = 100;

/**
 * How often a worker lets the other processes of its CPU go first and looks again, before it waits: 1 us each time if none wants the
 * CPU. A client on this CPU then sends all that it has to send, where a worker that waits would interrupt it after the first datagram;
 * and one on another CPU does not have to wake up this one, which takes longer than all the rest.
 */
const LOOKS = 20;

/**
 * If those others kept the CPU for longer than this, in ms, they were no clients, who soon wait for answers. Then the worker waits
 * at once for a while: whoever waits gets the CPU back when a datagram comes.
 */
const MAX_TURN_MS = 1;

/** For how long, in ms: at first not for long, since it may have been the hypervisor; then twice as long each time. */
const MIN_PAUSE_MS = 20;
const MAX_PAUSE_MS = 2000;

/** How long that wait is at most, in ms. */
const IDLE_WAIT_MS = 60_000;

/**
 * Room for datagrams that come while others are answered. The kernel counts about 1.1 KiB for a small one, and gives no more than
 * twice net.core.rmem_max (212,992 bytes where nobody has raised it), which still is twice the default: about 380 datagrams.
 */
const RECEIVE_BUFFER_BYTES = 4 * 2 ** 20;

/**
 * For how long datagrams are answered, in ms, for each turn of the event loop, however many or few they are. A turn takes 4 us, and
 * more where clients want the CPU: 20 in a row made them wait for 1 to 2 ms.
 */
const TURN_MS = 12;

/** How many turns it gets in a row at most: a message on stdin takes about 20 to be heard. */
const MAX_TURNS = 20;

/**
 * Binds a socket that shares its port with others of this user (SO_REUSEPORT): the kernel deals the datagrams out among
 * them. Linux only; it goes through libc, since Deno has no such option for UDP.
 *
 * @param options Where to bind it.
 * @returns The socket.
 * @throws {TypeError} If the hostname is not an IP address.
 * @throws {Deno.errors.AddrInUse} If the port is taken by a socket that does not share it, or by another user's.
 * @throws {Deno.errors.NotCapable} If the permission `--allow-ffi` is missing.
 * @throws {Deno.errors.NotSupported} If this is not Linux with glibc.
 */
export function bindReuseport(options: ReuseportOptions): ReuseportSocket {
  const { hostname, incomingCpu } = options;
  const socket = new RawSocket(hostname, options.port, RECEIVE_TIMEOUT_MS);
  socket.setOption(linux.SO_REUSEPORT, Int32Array.of(1));
  socket.setOption(linux.SO_RCVBUF, Int32Array.of(RECEIVE_BUFFER_BYTES));
  if (incomingCpu !== undefined) setIncomingCpu(incomingCpu);
  socket.bind();
  const received = new ReceiveBatch(socket);
  const answers = new SendBatch(socket);
  const source = new SourceAddress();
  let traffic = { messages: 0, receives: 0 };
  let receivedMs = Date.now();
  /** When others last kept the CPU, and for how long not to let them go first from then on. */
  let heldUpMs = -Infinity;
  let pauseMs = 0;
  let isServing = false;
  let closed = false;

  async function serve(respond: Respond, listener?: BatchListener): Promise<void> {
    isServing = true;
    while (!closed) {
      const turns = answerBatches(respond, listener);
      if (turns > 0) await turnsOfEventLoop(turns);
      else await socket.waitForDatagram(IDLE_WAIT_MS);
    }
    socket.close();
  }

  /**
   * Answers what comes, batch by batch, until the event loop is due a turn.
   *
   * @returns How many turns it is due; 0 if nothing has come for a while.
   */
  function answerBatches(respond: Respond, listener: BatchListener | undefined): number {
    const beginMs = Date.now();
    let turns: number;
    do {
      const messages = receive();
      if (messages === 0) return 0;
      traffic.messages += messages;
      traffic.receives++;
      listener?.onBatch(received.datagrams);
      for (let message = 0; message < messages; message++) answerMessage(message, respond);
      listener?.onBatchEnd();
      answers.flush();
      turns = Math.floor(Math.abs(receivedMs - beginMs) / TURN_MS); // the clock may be set back meanwhile
    } while (turns === 0);
    return Math.min(turns, MAX_TURNS);
  }

  /** Receives what there is; waits for it if need be. */
  function receive(): number {
    let messages = received.tryReceive();
    if (messages === 0 && Math.abs(receivedMs - heldUpMs) >= pauseMs) messages = receiveSoon();
    if (messages === 0) messages = received.receive();
    receivedMs = Date.now();
    return messages;
  }

  /** Receives what there is once the other processes of this CPU have had their turn. */
  function receiveSoon(): number {
    let messages = 0;
    for (let looks = 0; messages === 0 && looks < LOOKS; looks++) {
      socket.libc.sched_yield();
      messages = received.tryReceive();
    }
    const nowMs = Date.now();
    if (Math.abs(nowMs - receivedMs) <= MAX_TURN_MS) {
      pauseMs = 0;
    } else {
      heldUpMs = nowMs;
      pauseMs = Math.min(Math.max(2 * pauseMs, MIN_PAUSE_MS), MAX_PAUSE_MS);
    }
    return messages;
  }

  function answerMessage(message: number, respond: Respond): void {
    const sender = received.senders[message];
    source.readSockaddr(sender);
    answers.sendTo(sender);
    const { slot } = answers;
    for (let datagrams = received.open(message); datagrams > 0; datagrams--) {
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
  };
}

/** Lets timers, signals and messages have their turns. `setTimeout` would take a millisecond or two for each. */
async function turnsOfEventLoop(turns: number): Promise<void> {
  for (; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
}
