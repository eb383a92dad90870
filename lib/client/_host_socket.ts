import { isDenial } from "./_is_denial.ts";
import { resolveName } from "./_resolve_name.ts";
import type { RequestSocket, RequestSocketEvents } from "./request_socket.ts";

/**
 * How long an address has to answer before the next one is tried as well, in ms: the "Connection Attempt Delay" of RFC
 * 8305 (Happy Eyeballs), section 5.
 */
const ATTEMPT_DELAY_MS = 250;

/**
 * After how long without any response to a request the name is resolved anew, in ms; where the last response took
 * longer than half of that, after twice as long as it took, up to {@linkcode MAX_SILENCE_MS}.
 */
const SILENCE_MS = 1000;

/** The longest silence after which the name is resolved anew, in ms. */
const MAX_SILENCE_MS = 10_000;

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
 * first one that answers (RFC 8305). If that one falls silent, it looks again, and still listens to that one meanwhile.
 *
 * A server that is reached by two of its addresses grants a request twice; then the ids of one response are lost.
 */
export class HostSocket implements RequestSocket {
  readonly #hostname: string;
  readonly #events: RequestSocketEvents;
  readonly #options: HostSocketOptions;
  /** The sockets that get all requests, by address: that of the address that answers, and those tried in a search. */
  readonly #sockets = new Map<string, RequestSocket>();
  /** The address that answered last; `undefined` from when a search begins. */
  #address: string | undefined;
  /** When the first request was sent that nothing has come after, in ms on the monotonic clock. */
  #unansweredMs = Infinity;
  /** When the last search began, in ms on the monotonic clock. */
  #searchedMs = -Infinity;
  /** After how long without any response the next search begins, in ms. */
  #silenceMs = SILENCE_MS;
  /** The requests since the search began; `undefined` if there is no search. */
  #kept: KeptDatagram[] | undefined;
  /** Why the program may not send to an address. */
  #denial: Error | undefined;
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
    const isSilent = nowMs - Math.max(this.#unansweredMs, this.#searchedMs) > this.#silenceMs;
    if (this.#kept === undefined && (this.#sockets.size === 0 || isSilent)) this.#search(nowMs);
    if (this.#kept !== undefined && this.#kept.length < MAX_KEPT) {
      const { buffer, byteOffset } = datagram;
      this.#kept.push({ datagram: new DataView(buffer.slice(byteOffset, byteOffset + length)), port });
    }
    for (const socket of this.#sockets.values()) socket.send(datagram, length, port);
  }

  /** See {@linkcode RequestSocket.close}. */
  close(): void {
    this.#closed = true;
    this.#keepOnly(new Set());
    this.#nextAddress();
  }

  /** Looks for an address that answers. It calls `onSendError`, and ends, if there is none to try. */
  #search(nowMs: number): void {
    const kept: KeptDatagram[] = [];
    this.#kept = kept;
    this.#searchedMs = nowMs;
    this.#denial = undefined;
    this.#tryAddresses(kept).catch((error) => {
      if (this.#kept === kept) this.#kept = undefined;
      if (!this.#closed) this.#events.onSendError(error);
    });
  }

  /** Tries the addresses as long as the search lasts whose requests these are. */
  async #tryAddresses(kept: KeptDatagram[]): Promise<void> {
    const { resolve = resolveName } = this.#options;
    const known = this.#address === undefined ? [] : [this.#address];
    this.#address = undefined;
    const addresses = new Set([...known, ...interleave(await resolve(this.#hostname))]);
    if (this.#closed || this.#kept !== kept) return;
    this.#keepOnly(addresses);
    for (const address of addresses) {
      if (this.#try(address)) await this.#delay();
      if (this.#closed || this.#kept !== kept) return;
    }
    this.#kept = undefined; // whichever of them answers later is kept; the next silence begins a new search
    this.#checkDenial();
  }

  /**
   * Sends all requests that wait to an address, too. Returns whether the machine has a socket for the address: without
   * IPv6, it has none for the first address of many names.
   */
  #try(address: string): boolean {
    if (this.#sockets.has(address)) return true; // it was tried before, and has got the requests
    const socket = this.#tryOpen(address);
    if (socket === undefined) return false;
    this.#sockets.set(address, socket);
    for (const { datagram, port } of this.#kept ?? []) socket.send(datagram, datagram.byteLength, port);
    return true;
  }

  #tryOpen(address: string): RequestSocket | undefined {
    try {
      return this.#open(address);
    } catch (error) {
      this.#onAddressError(address, error as Error);
      return undefined;
    }
  }

  #open(address: string): RequestSocket {
    return this.#options.open(address, {
      onDatagram: (datagram, length, port) => {
        const isResponse = this.#events.onDatagram(datagram, length, port);
        if (isResponse) this.#onResponse(address);
        return isResponse;
      },
      onSendError: (error) => {
        this.#onAddressError(address, error);
        this.#nextAddress();
      },
      isWaiting: () => this.#events.isWaiting(),
    });
  }

  /** Takes note of a response; one that is not valid says nothing about its address. */
  #onResponse(address: string): void {
    if (this.#address === undefined) this.#choose(address);
    if (this.#unansweredMs === Infinity) return;
    const tookMs = performance.now() - this.#unansweredMs;
    this.#silenceMs = Math.min(Math.max(2 * tookMs, SILENCE_MS), MAX_SILENCE_MS);
    this.#unansweredMs = Infinity;
  }

  /** Reports an error. That the program may not send to one address is an error of that address only. */
  #onAddressError(address: string, error: Error): void {
    if (!isDenial(error)) return this.#events.onSendError(error);
    this.#denial = error;
    this.#sockets.get(address)?.close();
    this.#sockets.delete(address);
    this.#events.onSendError(new Error(error.message, { cause: error }));
    if (this.#kept === undefined) this.#checkDenial();
  }

  /** Reports that the program may send to no address, if that is why there is none left. */
  #checkDenial(): void {
    if (this.#sockets.size === 0 && this.#denial !== undefined) this.#events.onSendError(this.#denial);
  }

  /** Keeps the address that has answered, and gives up the others. */
  #choose(address: string): void {
    this.#address = address;
    this.#keepOnly(new Set([address]));
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

  #keepOnly(addresses: ReadonlySet<string>): void {
    for (const [address, socket] of this.#sockets) {
      if (addresses.has(address)) continue;
      socket.close();
      this.#sockets.delete(address);
    }
  }
}

/** Takes addresses of the two families in turn, beginning with the family of the first (RFC 8305, section 4). */
function interleave(addresses: string[]): string[] {
  const isV6 = (address: string) => address.includes(":");
  const first = addresses.filter((address) => isV6(address) === isV6(addresses[0]));
  const second = addresses.filter((address) => isV6(address) !== isV6(addresses[0]));
  return first.flatMap((address, i) => i < second.length ? [address, second[i]] : [address])
    .concat(second.slice(first.length));
}
