import { DenoSocket } from "./_deno_socket.ts";
import { LibcSocket } from "./_libc_socket.ts";

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

/**
 * Opens a socket: where it may (Linux, `--allow-ffi`, and the host an address), one of libc's, which sends what goes out
 * together as one message and so has more than ten times as many requests a second; else one of Deno's.
 *
 * @throws {TypeError} If this is not Deno with `--unstable-net`.
 * @throws {Deno.errors.NotCapable} If the permission `--allow-net` is missing.
 */
export function openRequestSocket(hostname: string, events: RequestSocketEvents): RequestSocket {
  if (typeof globalThis.Deno?.listenDatagram !== "function") {
    throw new TypeError("IdClient needs Deno with the flag --unstable-net");
  }
  return LibcSocket.isPossible(hostname) ? new LibcSocket(hostname, events) : new DenoSocket(hostname, events);
}
