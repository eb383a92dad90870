import type { PendingRequest } from "./_pending_request.ts";
import { type Host, Server } from "./_server.ts";
import { nextInRing, type ServerChoice } from "./_server_choice.ts";

/** The ports of one host, of which each has a part of the ids: requests go to them in turn. */
export class PortRotation implements ServerChoice {
  readonly servers: readonly Server[];
  readonly #host: Host;
  #turn = 0;

  /** Takes the ports, at least one. */
  constructor(host: Host, ports: readonly number[]) {
    this.#host = host;
    this.servers = ports.map((port) => new Server(host, port));
  }

  first(): Server {
    const server = this.servers[this.#turn];
    this.#turn = this.#turn + 1 === this.servers.length ? 0 : this.#turn + 1;
    return server;
  }

  next(request: PendingRequest): Server | undefined {
    return nextInRing(this.servers, request, () => true);
  }

  /** The workers of one server fail together, as a rule. */
  patienceMs(): number {
    return Infinity;
  }

  mayHedge(): boolean {
    return false;
  }

  onSent(): void {}

  onResponse(): void {}

  onRefusal(): void {}

  close(): void {
    this.#host.socket.close();
  }
}
