/**
 * A network switch in user space, with links that can be cut, slow and lossy whatever the kernel was built with: every
 * frame that a port sends goes to all other ports, or is lost. Ends with its stdin.
 *
 * Arguments: the names of the network interfaces to make, one a port. Says `ready` once they are there. Reads lines
 * `NAME LOSS DELAY`: from now on, the port loses frames that it sends with this probability, and delays the others by
 * so many ms. With a loss of 1, it receives none either.
 */
/** As <fcntl.h>, <poll.h>, <linux/if_tun.h> and <linux/if.h> have them. */
const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const POLLIN = 1;
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFREQ = { bytes: 40, flags: 16 };
const POLLFD = { bytes: 8, events: 4 };
const IS_LITTLE_ENDIAN = true;

/** How long to wait for frames, in ms, while others are on their way, and while none are. */
const BUSY_MS = 1;
const IDLE_MS = 20;

const libc = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
}).symbols;

interface Port {
  readonly name: string;
  readonly fd: number;
  loss: number;
  delayMs: number;
}

function openPort(name: string): Port {
  const fd = libc.open(new TextEncoder().encode("/dev/net/tun\0"), O_RDWR | O_NONBLOCK, 0);
  const request = new Uint8Array(IFREQ.bytes);
  new TextEncoder().encodeInto(name, request);
  new DataView(request.buffer).setUint16(IFREQ.flags, IFF_TAP | IFF_NO_PI, IS_LITTLE_ENDIAN);
  if (fd < 0 || libc.ioctl(fd, BigInt(TUNSETIFF), request) !== 0) throw new Error(`cannot make the interface ${name}`);
  return { name, fd, loss: 0, delayMs: 0 };
}

/** Frames on their way, the earliest first for each port. */
interface Frame {
  readonly from: Port;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly dueMs: number;
}

const ports = Deno.args.map(openPort);
let frames: Frame[] = [];
console.log("ready");

/** Each command comes as one write to the pipe, and the next one after its answer. */
async function readCommands(): Promise<void> {
  for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const [name, loss, delayMs] = line.trim().split(" ");
    const port = ports.find((port) => port.name === name);
    if (port !== undefined) Object.assign(port, { loss: Number(loss), delayMs: Number(delayMs) });
    console.log("done");
  }
  Deno.exit();
}

/** Takes all frames that the ports have sent. */
function receive(): void {
  const buffer = new Uint8Array(65_536);
  for (const from of ports) {
    for (let bytes = 0; (bytes = Number(libc.read(from.fd, buffer, BigInt(buffer.length)))) > 0;) {
      if (Math.random() < from.loss) continue;
      frames.push({ from, bytes: buffer.slice(0, bytes), dueMs: performance.now() + from.delayMs });
    }
  }
}

/** Sends all frames that are due. */
function send(): void {
  const nowMs = performance.now();
  for (const { from, bytes, dueMs } of frames) {
    if (dueMs > nowMs) continue;
    for (const to of ports) if (to !== from && to.loss < 1) libc.write(to.fd, bytes, BigInt(bytes.length));
  }
  frames = frames.filter(({ dueMs }) => dueMs > nowMs);
}

void readCommands();
const polled = new DataView(new ArrayBuffer(ports.length * POLLFD.bytes));
for (const [i, { fd }] of ports.entries()) {
  polled.setInt32(i * POLLFD.bytes, fd, IS_LITTLE_ENDIAN);
  polled.setInt16(i * POLLFD.bytes + POLLFD.events, POLLIN, IS_LITTLE_ENDIAN);
}
while (true) {
  await libc.poll(new Uint8Array(polled.buffer), BigInt(ports.length), frames.length > 0 ? BUSY_MS : IDLE_MS);
  receive();
  send();
}
