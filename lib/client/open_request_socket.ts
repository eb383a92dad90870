import { parseIpAddress } from "../udp/ip_address.ts";
import { HostSocket } from "./_host_socket.ts";
import { openAddressSocket } from "./open_address_socket.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

/**
 * Opens a socket for requests to a host.
 *
 * @param hostname The server's host: an IP address or a name.
 * @param events What the socket calls.
 * @throws {Deno.errors.NotCapable} If the host is an address, and Deno's permission `--allow-net` is missing. For a
 * name, the first request fails with that error.
 */
export function openRequestSocket(hostname: string, events: RequestSocketEvents): RequestSocket {
  return parseIpAddress(hostname) === undefined
    ? new HostSocket(hostname, events, { open: openAddressSocket })
    : openAddressSocket(hostname, events);
}
