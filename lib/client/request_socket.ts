/** What a client sends its requests with, and hears the responses from. */
export interface RequestSocket {
  /**
   * Sends a datagram, at the latest when the event loop gets its turn.
   *
   * @param datagram A view that begins with the datagram; it is copied.
   * @param length Its length in bytes, a multiple of 4 up to 64.
   * @param port The server's port.
   */
  send(datagram: DataView<ArrayBuffer>, length: number, port: number): void;

  /** Closes it: no response is heard from then on. */
  close(): void;
}

/** What a {@linkcode RequestSocket} tells its client. */
export interface RequestSocketEvents {
  /**
   * A datagram has come, from wherever.
   *
   * @param datagram A view that begins with it; only valid until the function returns.
   * @param length Its length in bytes; of a longer one, only as much as the view has.
   */
  onDatagram(datagram: DataView, length: number): void;
  /** A datagram could not be sent. */
  onSendError(error: Error): void;
  /** Whether responses are still to come. */
  isWaiting(): boolean;
}
