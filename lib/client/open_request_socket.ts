import { DenoSocket } from "./_deno_socket.ts";
import { LibcSocket } from "./_libc_socket.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

/**
 * Opens a socket for requests to a host. On Linux with `--allow-ffi`, if the host is an address, it is one of libc's,
 * which sends requests that are made together as one message, and so makes more than ten times as many a second.
 * Elsewhere, it is one of Deno's.
 *
 * @param hostname The server's host.
 * @param events What the socket calls.
 * @throws {TypeError} If this is not Deno with `--unstable-net`.
 * @throws {Deno.errors.NotCapable} If the permission `--allow-net` is missing.
 */
export function openRequestSocket(hostname: string, events: RequestSocketEvents): RequestSocket {
  if (typeof globalThis.Deno?.listenDatagram !== "function") {
    throw new TypeError("IdClient needs Deno with the flag --unstable-net");
  }
  return LibcSocket.isPossible(hostname) ? new LibcSocket(hostname, events) : new DenoSocket(hostname, events);
}
