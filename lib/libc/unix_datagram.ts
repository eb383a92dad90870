import { openLibc, systemError } from "./libc.ts";

const LITTLE_ENDIAN = true;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;

/** The longest name in `struct sockaddr_un { sa_family_t sun_family; char sun_path[108]; }`, in bytes. */
const MAX_NAME_BYTES = 107;

/**
 * Sends a text to a Unix socket, in one datagram. (Deno cannot reach sockets without a path, and asks for the
 * permission to read and write at the path of others.)
 *
 * @param name The absolute path of the socket; or `@` and the name of an abstract one, which has no path.
 * @param text The text.
 * @throws {TypeError} If it is no name of a socket.
 * @throws {Error} If the text cannot be sent, or libc is out of reach: see `openLibc`.
 */
export function sendDatagram(name: string, text: string): void {
  const address = encodeUnixAddress(name);
  const libc = openLibc();
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError(libc, "cannot make a Unix socket");
  try {
    const bytes = new TextEncoder().encode(text);
    const isSent = libc.connect(fd, address, address.length) === 0 &&
      Number(libc.send(fd, bytes, BigInt(bytes.length), MSG_NOSIGNAL)) === bytes.length;
    if (!isSent) throw systemError(libc, `cannot send to the socket ${name}`);
  } finally {
    libc.close(fd);
  }
}

/**
 * Encodes the address of a Unix socket as a `struct sockaddr_un`.
 *
 * @param name See {@linkcode sendDatagram}.
 * @throws {TypeError} If it is no name of a socket.
 */
export function encodeUnixAddress(name: string): Uint8Array<ArrayBuffer> {
  const isAbstract = name.startsWith("@");
  const bytes = new TextEncoder().encode(name);
  if (!(isAbstract || name.startsWith("/")) || bytes.length < 2 || bytes.length > MAX_NAME_BYTES) {
    throw new TypeError(
      `a Unix socket has an absolute path, or a name after "@", of at most ${MAX_NAME_BYTES} bytes: ` +
        `got ${JSON.stringify(name)}`,
    );
  }
  if (isAbstract) bytes[0] = 0;
  // A path ends with a zero. An abstract name ends with the address, and a zero would be part of it.
  const address = new Uint8Array(2 + bytes.length + (isAbstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, LITTLE_ENDIAN);
  address.set(bytes, 2);
  return address;
}
