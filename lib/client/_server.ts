import { formatEndpoint } from "./endpoint.ts";
import type { RequestSocket } from "./request_socket.ts";

/** A host with one socket for the requests to all of its ports. */
export class Host {
  readonly hostname: string;
  readonly socket: RequestSocket;
  /** How many transmissions to the host wait for a response. */
  outstanding = 0;
  /** Whether the program may not send there. */
  isDenied = false;

  /**
   * Opens the socket.
   *
   * @param hostname An IP address or a name.
   * @param open Opens a socket for the host.
   */
  constructor(hostname: string, open: (host: Host) => RequestSocket) {
    this.hostname = hostname;
    this.socket = open(this);
  }
}

/** A server, or one worker of it, by its host and port; and what a client knows of it. */
export class Server {
  readonly host: Host;
  readonly port: number;
  /** The servers that a request was sent to which was sent once, to this one. */
  readonly alone: readonly Server[] = [this];

  /** How far its clock is ahead of this machine's, in ms, as far as it matters for signed requests. */
  aheadMs = 0;
  /** When the first request was sent that no response has come after, in ms on the monotonic clock. */
  unansweredMs = Infinity;
  /** From when on it is taken for silent, in ms on the monotonic clock; `Infinity`: it is not. */
  silentMs = Infinity;
  /** Until when it has no ids, in ms on the monotonic clock. */
  restsUntilMs = -Infinity;
  /** How long it takes to respond as a rule, in ms; `Infinity` if that is not known. */
  usualMs = Infinity;
  /** The request whose response tells how long it takes, and when that was sent. */
  sample: object | undefined;
  sampleMs = -Infinity;
  /** The request that finds out whether it responds. */
  probe: object | undefined;

  /** Describes a server that nothing is known of. */
  constructor(host: Host, port: number) {
    this.host = host;
    this.port = port;
  }

  /** Where it is: `host:port`. */
  get name(): string {
    return formatEndpoint({ hostname: this.host.hostname, port: this.port });
  }
}
