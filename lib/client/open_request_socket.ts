import { DenoSocket } from "./_deno_socket.ts";
import { LibcSocket } from "./_libc_socket.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

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
