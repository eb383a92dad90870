import { DenoSocket } from "./_deno_socket.ts";
import { LibcSocket } from "./_libc_socket.ts";
import { NodeSocket } from "./_node_socket.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

/**
 * Opens a socket for requests to an IP address: the fastest that this runtime has.
 *
 * - One of libc's, in Deno on Linux with `--allow-ffi`: it sends requests that are made together as one message, and so
 *   makes more than ten times as many a second.
 * - One of Deno's own, with `--unstable-net`.
 * - One of `node:dgram`: in Node, in Bun, and in Deno without that flag.
 *
 * @param address The server's address.
 * @param events What the socket calls.
 * @throws {Deno.errors.NotCapable} If Deno's permission `--allow-net` is missing.
 */
export function openAddressSocket(address: string, events: RequestSocketEvents): RequestSocket {
  if (LibcSocket.isPossible(address)) return new LibcSocket(address, events);
  if (typeof globalThis.Deno?.listenDatagram === "function") return new DenoSocket(address, events);
  return new NodeSocket(address, events);
}
