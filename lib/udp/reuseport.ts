import { setImmediate } from "node:timers";
import { DatagramBatch } from "./_datagram_batch.ts";
import { linux } from "../libc/libc.ts";
import { RawSocket } from "./_raw_socket.ts";
import { SourceAddress } from "./source_address.ts";
import type { Respond, UdpSocket, UdpSocketOptions } from "./udp_socket.ts";

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
  /** How many datagrams. */
  datagrams: number;
  /** With how many receives that brought any. */
  receives: number;
}

/** A socket that shares its port. */
export interface ReuseportSocket extends UdpSocket {
  /** From now on, takes what arrives on this CPU (see {@linkcode ReuseportOptions}), or with -1 what a hash of the sender gives it. */
  setIncomingCpu(cpu: number): void;

  /** How many datagrams have come since this was last called, and with how many receives. */
  takeTraffic(): Traffic;
}

/** How long a receive waits before the event loop gets its turns. */
const RECEIVE_TIMEOUT_MS = 200;

/**
 * Room for datagrams that come while others are answered. The kernel counts about 1.1 KiB for a small one, and gives no more than
 * twice net.core.rmem_max (212,992 bytes where nobody has raised it), which still is twice the default: about 380 datagrams.
 */
const RECEIVE_BUFFER_BYTES = 4 * 2 ** 20;

/** How many turns the event loop then gets, of about 4 us each: a message on stdin takes about 20 turns to be heard. */
const TURNS_WHEN_IDLE = 20;

/** After how many batches the event loop gets one turn under load. It takes as long as answering one or two datagrams. */
const BATCHES_PER_TURN = 128;

/** The same in datagrams: so a worker hears a message within 0.1 s, of which 20 turns are needed, however full its batches are. */
const DATAGRAMS_PER_TURN = 1024;

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
  const batch = new DatagramBatch(socket.libc, socket.fd, socket.addressLength);
  const source = new SourceAddress();
  let traffic = { datagrams: 0, receives: 0 };
  let closed = false;

  async function serve(respond: Respond): Promise<void> {
    while (!closed) {
      const isIdle = answerBatches(batch, respond, source, traffic);
      for (let turns = isIdle ? TURNS_WHEN_IDLE : 1; turns > 0; turns--) await turnOfEventLoop();
    }
  }

  function setIncomingCpu(cpu: number): void {
    socket.setOption(linux.SO_INCOMING_CPU, Int32Array.of(cpu));
  }

  function takeTraffic(): Traffic {
    const taken = traffic;
    traffic = { datagrams: 0, receives: 0 };
    return taken;
  }

  function close(): void {
    closed = true;
    socket.close();
  }

  return { hostname, port: socket.port, serve, close, setIncomingCpu, takeTraffic };
}

/**
 * Answers what is there, batch by batch, until the event loop is due a turn.
 *
 * @returns Whether that is because nothing came for a while.
 */
function answerBatches(batch: DatagramBatch, respond: Respond, source: SourceAddress, traffic: Traffic): boolean {
  let datagrams = 0;
  for (let batches = 0; batches < BATCHES_PER_TURN && datagrams < DATAGRAMS_PER_TURN; batches++) {
    const count = batch.receive();
    if (count === 0) return true;
    datagrams += count;
    traffic.datagrams += count;
    traffic.receives++;
    let begin = 0;
    for (let slot = 0; slot < count; slot++) {
      source.readSockaddr(batch.senders[slot]);
      const length = respond(batch.slots[slot], batch.lengthOf(slot), source);
      if (length > 0) {
        batch.setReplyLength(slot, length);
      } else {
        batch.send(begin, slot);
        begin = slot + 1;
      }
    }
    batch.send(begin, count);
  }
  return false;
}

/** Lets timers, signals and messages have a turn. `setTimeout` would take a millisecond or two for it. */
function turnOfEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
