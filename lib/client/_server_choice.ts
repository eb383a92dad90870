import type { PendingRequest } from "./_pending_request.ts";
import type { Server } from "./_server.ts";

/** Chooses which server a request goes to. All times are in ms on the monotonic clock. */
export interface ServerChoice {
  /** The servers that are known. Where they change, this is another array. */
  readonly servers: readonly Server[];

  /** The server for a new request; `undefined` if none is known yet. */
  first(nowMs: number): Server | undefined;

  /** The next server for a request, one that is not asked in its round; `undefined` if there is none. */
  next(request: PendingRequest, nowMs: number): Server | undefined;

  /** How long to wait for a response of a server before the next one is asked; `Infinity`: until retransmission. */
  patienceMs(server: Server): number;

  /** Whether a request whose server has not responded for that long may go to the next one. */
  mayHedge(request: PendingRequest, nowMs: number): boolean;

  /** A request was sent to a server. */
  onSent(server: Server, request: PendingRequest, nowMs: number): void;

  /** A server has responded to a request. */
  onResponse(server: Server, request: PendingRequest): void;

  /** A server has no ids for so long. */
  onRefusal(server: Server, retryAfterMs: number, nowMs: number): void;

  /** Closes all sockets. */
  close(): void;
}

/** The next server in a ring after the request's last one that is not asked in its round: a usable one, if there is. */
export function nextInRing(
  servers: readonly Server[],
  request: PendingRequest,
  isUsable: (server: Server) => boolean,
): Server | undefined {
  const begin = request.lastServer === undefined ? 0 : servers.indexOf(request.lastServer) + 1;
  const ring = [...servers.slice(begin), ...servers.slice(0, begin)].filter((server) => !request.isAsked(server));
  return ring.find(isUsable) ?? ring[0];
}
