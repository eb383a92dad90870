import type { SourceAddress } from "./source_address.ts";

/**
 * Answers one datagram in place: the answer is written over it.
 *
 * @param datagram A view that begins with the datagram and has at least {@linkcode SLOT_BYTES}.
 * @param length The datagram's length in bytes; of a longer one, only as much as the view has.
 * @param source Where it says it is from; only valid until the function returns.
 * @returns The length of the answer in bytes, or 0 for none.
 */
export type Respond = (datagram: DataView, length: number, source: SourceAddress) => number;

/** What is told of the batches in which datagrams are received. */
export interface BatchListener {
  /** So many datagrams have been received, and are answered next. */
  onBatch(datagrams: number): void;
  /** All of them are answered, though not all of the answers need be sent. */
  onBatchEnd(): void;
}

/** A UDP socket that answers datagrams. */
export interface UdpSocket {
  /** The address that it is bound to. */
  readonly hostname: string;
  /** The port that it is bound to; the one that the system chose if it was asked for port 0. */
  readonly port: number;
  /**
   * When what is being answered was received, in ms since the Unix epoch; until anything is, when the socket was bound. To read the
   * clock takes a third of the time that an answer from a batch does, so it is read once for all of a batch.
   */
  readonly receivedMs: number;

  /** Reads the clock again: {@linkcode receivedMs} is the time of now, until the next batch. Returns whether it was another one. */
  readClock(): boolean;

  /**
   * Answers datagrams until the socket is closed. The event loop goes on turning meanwhile.
   *
   * @param respond What makes the answers. It must not throw.
   * @param listener What is told of batches, where datagrams are received in such.
   */
  serve(respond: Respond, listener?: BatchListener): Promise<void>;

  /** Closes the socket, and so ends `serve`. */
  close(): void;
}

/** Where a socket is to be bound. */
export interface UdpSocketOptions {
  /** An IPv4 or IPv6 address of this machine, or `0.0.0.0` or `::` for all. */
  hostname: string;
  /** A port, or 0 for one that the system chooses. */
  port: number;
}

/** Room for a datagram and its answer: both protocols stay below, and a datagram that fills it is no request. */
export const SLOT_BYTES = 64;
