import { linux, openLibc, systemError } from "../lib/libc/libc.ts";
import { encodeUnixAddress } from "../lib/libc/unix_datagram.ts";
import { within } from "./within.ts";

const AF_UNIX = 1;
const MAX_MESSAGE_BYTES = 4096;
const POLL_MS = 20;

/** A Unix socket as a service manager has one, to which services send messages. */
export class NotifySocket implements AsyncDisposable {
  /** The messages so far. */
  readonly messages: string[] = [];
  readonly #fd: number;
  readonly #read: Promise<void>;
  #changed = Promise.withResolvers<void>();
  #isClosed = false;

  /** @param name The path, or `@` and the name of an abstract socket. */
  constructor(name: string) {
    const libc = openLibc();
    this.#fd = libc.socket(AF_UNIX, linux.SOCK_DGRAM | linux.SOCK_CLOEXEC, 0);
    const address = encodeUnixAddress(name);
    if (libc.bind(this.#fd, address, address.length) !== 0) throw systemError(libc, `cannot bind ${name}`);
    this.#read = this.#readAll();
  }

  /** Waits until a message has come that the pattern fits, after so many others. */
  async says(pattern: RegExp, after = 0): Promise<void> {
    const wait = async () => {
      while (!this.messages.slice(after).some((message) => pattern.test(message))) await this.#changed.promise;
    };
    await within(`the service manager hears ${pattern}`, wait());
  }

  async #readAll(): Promise<void> {
    const libc = openLibc();
    const buffer = new Uint8Array(MAX_MESSAGE_BYTES);
    while (!this.#isClosed) {
      const pollfd = Int32Array.of(this.#fd, linux.POLLIN);
      if (await libc.poll(pollfd, 1n, POLL_MS) !== 1) continue;
      const length = Number(libc.read(this.#fd, buffer, BigInt(buffer.length)));
      this.messages.push(new TextDecoder().decode(buffer.subarray(0, length)));
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
    libc.close(this.#fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#read;
  }
}
