import { lookup } from "node:dns/promises";
import { checkNetPermission } from "./_check_net_permission.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

/**
 * How long an address has to answer before the next one is tried as well, in ms: the "Connection Attempt Delay" of RFC
 * 8305 (Happy Eyeballs), section 5.
 */
const ATTEMPT_DELAY_MS = 250;

/** After how long without any response to a request the name is resolved anew, in ms. */
const SILENCE_MS = 1000;

/** How many datagrams are kept for the addresses still to be tried. The client retransmits the others. */
const MAX_KEPT = 64;

/** What a {@linkcode HostSocket} works with. */
export interface HostSocketOptions {
  /** Opens a socket for an address. */
  readonly open: (address: string, events: RequestSocketEvents) => RequestSocket;
  /**
   * Resolves a name to addresses, the preferred one first.
   *
   * @default {the system's resolver}
   */
  readonly resolve?: (hostname: string) => Promise<string[]>;
}

/** A datagram that waits for an address. */
interface KeptDatagram {
  readonly datagram: DataView<ArrayBuffer>;
  readonly port: number;
}

/**
 * A socket for a name. It tries the name's addresses one after the other, without giving up those before, and keeps the
 * first one that answers (RFC 8305). If that one falls silent, it looks again.
 *
 * A server that is reached by two of its addresses grants a request twice; then the ids of one response are lost.
 */
export class HostSocket implements RequestSocket {
  readonly #hostname: string;
  readonly #events: RequestSocketEvents;
  readonly #options: HostSocketOptions;
  /** The sockets that get all requests: that of the address that answers or, in a search, those tried so far. */
  #sockets: RequestSocket[] = [];
  /** The address that answered last. */
  #address: string | undefined;
  /** When the first request was sent that nothing has come after, in ms on the monotonic clock. */
  #unansweredMs = Infinity;
  /** The requests since the search began; `undefined` if there is no search. */
  #kept: KeptDatagram[] | undefined;
  /** Ends the delay before the next address. */
  #nextAddress = () => {};
  #closed = false;

  /** Opens nothing before the first request. */
  constructor(hostname: string, events: RequestSocketEvents, options: HostSocketOptions) {
    this.#hostname = hostname;
    this.#events = events;
    this.#options = options;
  }

  /** See {@linkcode RequestSocket.send}. */
  send(datagram: DataView<ArrayBuffer>, length: number, port: number): void {
    const nowMs = performance.now();
    if (this.#unansweredMs === Infinity) this.#unansweredMs = nowMs;
    const isSilent = nowMs - this.#unansweredMs > SILENCE_MS;
    if (this.#kept === undefined && (this.#sockets.length === 0 || isSilent)) this.#search();
    if (this.#kept !== undefined && this.#kept.length < MAX_KEPT) {
      this.#kept.push({ datagram: new DataView(datagram.buffer.slice(0, length)), port });
    }
    for (const socket of this.#sockets) socket.send(datagram, length, port);
  }

  /** See {@linkcode RequestSocket.close}. */
  close(): void {
    this.#closed = true;
    this.#closeSockets();
    this.#nextAddress();
  }

  /** Looks for an address that answers. It calls `onSendError`, and ends, if there is none to try. */
  #search(): void {
    this.#closeSockets();
    this.#kept = [];
    this.#unansweredMs = performance.now();
    this.#tryAddresses().catch((error) => {
      this.#kept = undefined;
      if (!this.#closed) this.#events.onSendError(error);
    });
  }

  async #tryAddresses(): Promise<void> {
    const { resolve = resolveName } = this.#options;
    const known = this.#address === undefined ? [] : [this.#address];
    const addresses = new Set([...known, ...interleave(await resolve(this.#hostname))]);
    this.#address = undefined;
    for (const address of addresses) {
      if (this.#closed || this.#address !== undefined) return;
      if (this.#try(address)) await this.#delay();
    }
    this.#kept = undefined; // whichever of them answers later is kept; the next silence begins a new search
  }

  /**
   * Sends all requests that wait to an address, too. Returns whether the machine has a socket for the address: without
   * IPv6, it has none for the first address of many names.
   */
  #try(address: string): boolean {
    const socket = this.#tryOpen(address);
    if (socket === undefined) return false;
    this.#sockets.push(socket);
    for (const { datagram, port } of this.#kept ?? []) socket.send(datagram, datagram.byteLength, port);
    return true;
  }

  #tryOpen(address: string): RequestSocket | undefined {
    try {
      return this.#open(address);
    } catch (error) {
      this.#events.onSendError(error as Error);
      return undefined;
    }
  }

  #open(address: string): RequestSocket {
    const socket = this.#options.open(address, {
      onDatagram: (datagram, length) => {
        if (this.#address === undefined) this.#choose(address, socket);
        this.#unansweredMs = Infinity;
        this.#events.onDatagram(datagram, length);
      },
      onSendError: (error) => {
        this.#events.onSendError(error);
        this.#nextAddress();
      },
      isWaiting: () => this.#events.isWaiting(),
    });
    return socket;
  }

  /** Keeps the address that has answered, and gives up the others. */
  #choose(address: string, chosen: RequestSocket): void {
    this.#address = address;
    for (const socket of this.#sockets) if (socket !== chosen) socket.close();
    this.#sockets = [chosen];
    this.#kept = undefined;
    this.#nextAddress();
  }

  /** Waits for as long as an address has to itself, or until it has answered or cannot be reached. */
  async #delay(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#nextAddress = resolve;
      timer = setTimeout(resolve, ATTEMPT_DELAY_MS);
    });
    clearTimeout(timer);
  }

  #closeSockets(): void {
    for (const socket of this.#sockets.splice(0)) socket.close();
  }
}

async function resolveName(hostname: string): Promise<string[]> {
  checkNetPermission(hostname);
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}

/** Takes addresses of the two families in turn, beginning with the family of the first (RFC 8305, section 4). */
function interleave(addresses: string[]): string[] {
  const isV6 = (address: string) => address.includes(":");
  const first = addresses.filter((address) => isV6(address) === isV6(addresses[0]));
  const second = addresses.filter((address) => isV6(address) !== isV6(addresses[0]));
  return first.flatMap((address, i) => i < second.length ? [address, second[i]] : [address])
    .concat(second.slice(first.length));
}
