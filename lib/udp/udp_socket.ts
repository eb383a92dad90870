import type { SourceAddress } from "./source_address.ts";

/**
 * Answers one datagram in place: it writes the answer over the datagram.
 *
 * @param datagram A view that begins with the datagram and has at least {@linkcode SLOT_BYTES}.
 * @param length The datagram's length in bytes, at most {@linkcode SLOT_BYTES}: a longer datagram is cut off.
 * @param source The sender's address, which a sender can spoof. It is valid only until the function returns.
 * @returns The length of the answer in bytes; 0: the datagram gets no answer.
 */
export type Respond = (datagram: DataView, length: number, source: SourceAddress) => number;

/** Follows the batches in which a socket receives datagrams. */
export interface BatchListener {
  /** The socket has received a batch of so many datagrams, and answers them next. */
  onBatch(datagrams: number): void;
  /** The socket has answered all datagrams of the batch. It may not have sent all answers yet. */
  onBatchEnd(): void;
}

/** The datagrams of some time that a socket has not handed on. */
export interface Drops {
  /** How many messages came from a port that no client has. */
  notFromClient: number;
  /** How many datagrams were not read, since their sender had had its share of an overloaded receive. */
  shed: number;
  /** How many datagrams the kernel dropped, since the socket had no room for them; 0 if the socket cannot tell. */
  overflowed: number;
}

/** A UDP socket that answers datagrams. */
export interface UdpSocket {
  /** The address that the socket is bound to. */
  readonly hostname: string;
  /** The port that the socket is bound to. The system chose it if the options said port 0. */
  readonly port: number;
  /**
   * When the socket received the datagrams that it is answering, in ms since the Unix epoch; before the first datagram,
   * when it was bound. The socket reads the clock once for each batch: reading takes a third of the time that an answer
   * takes.
   */
  readonly receivedMs: number;

  /** Sets {@linkcode receivedMs} to the time of now, until the next batch. Returns whether that changed it. */
  readClock(): boolean;

  /**
   * Answers datagrams until the socket is closed. The event loop keeps turning meanwhile.
   *
   * @param respond Makes the answers. It must not throw.
   * @param listener Follows the batches, if the socket receives in batches.
   */
  serve(respond: Respond, listener?: BatchListener): Promise<void>;

  /** Returns what the socket has not handed on since the last call. */
  takeDrops(): Drops;

  /** Closes the socket, and so ends `serve`. */
  close(): void;
}

/** Where to bind a socket. */
export interface UdpSocketOptions {
  /** An IPv4 or IPv6 address of this machine, or `0.0.0.0` or `::` for all. */
  hostname: string;
  /** A port; 0: the system chooses one. */
  port: number;
}

/**
 * Room for a datagram and its answer, in bytes. Requests and answers are shorter, so a datagram that fills the room is
 * no request.
 */
export const SLOT_BYTES = 64;
