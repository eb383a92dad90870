/** A socket for the requests of a client and their responses. */
export interface RequestSocket {
  /**
   * Sends a datagram before the event loop has its next turn.
   *
   * @param datagram A view that begins with the datagram, anywhere in its buffer. The socket copies it.
   * @param length Its length in bytes, a multiple of 4 up to 64.
   * @param port The server's port.
   */
  send(datagram: DataView<ArrayBuffer>, length: number, port: number): void;

  /** Closes the socket. It hands over no response afterwards. */
  close(): void;
}

/** What a {@linkcode RequestSocket} calls. */
export interface RequestSocketEvents {
  /**
   * A datagram has come from the server's address. The socket drops those of all other senders.
   *
   * @param datagram A view that begins with the datagram. It is valid only until the function returns.
   * @param length The datagram's length in bytes, at most the view's: a longer datagram is cut off.
   * @param port The port that it came from, whether or not a request went there.
   * @returns Whether it is a response to a request that waits for one, and went to that port.
   */
  onDatagram(datagram: DataView, length: number, port: number): boolean;
  /**
   * The socket could not send a datagram, or could not receive. `Deno.errors.NotCapable`: it will not be able to.
   */
  onSendError(error: Error): void;
  /** Whether any request still waits for its response. */
  isWaiting(): boolean;
}
