/**
 * Tries what a worker that strangers have taken over might try, with exactly the permissions of a worker, and prints
 * as JSON what became of each attempt: `"done"`, or the number of the error; how many bytes reached files by memory;
 * and the files that it shares memory with. Then it goes on as a worker does, and prints a second line if it could.
 *
 * Arguments: `confined` or `free`; a directory with a file `key`; `end`, `crash` or `abort`: how the process ends.
 */
import { confineWorker } from "../../lib/server/confine_worker.ts";
import { RawSocket } from "../../lib/udp/raw_socket.ts";

const [mode, directory, end] = Deno.args;

/** What an intruder finds in libc: all of it. */
const libc = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  openElsewhere: { name: "open", parameters: ["buffer", "i32", "u32"], result: "i32", nonblocking: true },
  system: { parameters: ["buffer"], result: "i32" },
  posix_spawn: { parameters: ["buffer", "buffer", "pointer", "pointer", "buffer", "pointer"], result: "i32" },
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  mkdir: { parameters: ["buffer", "u32"], result: "i32" },
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  getppid: { parameters: [], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  dup: { parameters: ["i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "i64" },
  mapped: { name: "mmap", parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  mprotect: { parameters: ["pointer", "usize", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
  abort: { parameters: [], result: "void" },
  __errno_location: { parameters: [], result: "pointer" },
}).symbols;

const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const O_RDWR = 2;
const O_CREAT = 0o100;
const F_DUPFD = 0;
const F_SETOWN = 8;
const TIOCSTI = 0x5412n;
const PROT_READ = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const SIGNAL_NOTHING = 0;
const EPERM = 1;
const ENOSYS = 38;

/** Two pages, on either architecture. */
const MEMORY_BYTES = 2 ** 17;

const text = (string: string) => new TextEncoder().encode(string + "\0");
const path = (name: string) => text(`${directory}/${name}`);
const errnoLocation = libc.__errno_location();
if (errnoLocation === null) throw new Error("every thread has an errno");
const errnoView = new Deno.UnsafePointerView(errnoLocation);
const errno = () => errnoView.getInt32();
const outcome = (result: number | bigint) => Number(result) >= 0 ? "done" : errno();

// A worker has a listener for signals and a socket, and Deno has files open for writing.
Deno.addSignalListener("SIGUSR2", () => {});
const socket = new RawSocket("127.0.0.1", 0, 500);
socket.bind();
const cacheFile = libc.open(path("cache"), O_RDWR | O_CREAT, 0o600);

/** Files as memory, and descriptors to read them: two like those of the runtime's caches, and one like the pool. */
const [writable, readable, pool] = [PROT_READ_WRITE, PROT_READ, PROT_READ_WRITE].map((protection, i) => {
  const name = path(`memory-${i}`);
  const fd = libc.open(name, O_RDWR | O_CREAT, 0o600);
  libc.write(fd, new Uint8Array(MEMORY_BYTES), BigInt(MEMORY_BYTES));
  const memory = libc.mapped(null, BigInt(MEMORY_BYTES), protection, MAP_SHARED, fd, 0n);
  if (memory === null) throw new Error("no file can be mapped");
  return { memory, bytes: Deno.UnsafePointerView.getArrayBuffer(memory, MEMORY_BYTES), reader: libc.open(name, 0, 0) };
});

/** Writes to a file by memory that it was mapped to before, and looks into the file. */
function writeByMemory({ memory, bytes, reader }: typeof pool): number {
  libc.mprotect(memory, BigInt(MEMORY_BYTES), PROT_READ_WRITE);
  new Uint8Array(bytes).fill(7);
  const content = new Uint8Array(MEMORY_BYTES);
  if (libc.read(reader, content, BigInt(MEMORY_BYTES)) !== BigInt(MEMORY_BYTES)) throw new Error("the file is gone");
  return content.filter((byte) => byte === 7).length;
}

/** The memory that this process shares with others through files, as proc_pid_maps(5) has it. */
function sharedMemory(): string[] {
  const chunk = new Uint8Array(2 ** 16);
  let maps = "";
  for (let length; (length = Number(libc.read(mapsFile, chunk, BigInt(chunk.length)))) > 0;) {
    maps += new TextDecoder().decode(chunk.subarray(0, length));
  }
  return maps.split("\n").filter((line) => /^\S+ ..[^ ]s /.test(line)).map((line) => line.split("/").at(-1) ?? line);
}

const ATTEMPTS: Record<string, () => number | bigint> = {
  "run a program": () => libc.system(text("id >/dev/null")) === 0 ? 0 : -1,
  "read the key": () => libc.open(path("key"), 0, 0),
  "make a file": () => libc.open(path("new"), O_RDWR | O_CREAT, 0o600),
  "rename a file": () => libc.rename(path("cache"), path("other")),
  "remove a file": () => libc.unlink(path("other")),
  "make a directory": () => libc.mkdir(path("directory"), 0o700),
  "let others read the key": () => libc.chmod(path("key"), 0o644),
  "write to a file that is open": () => libc.write(cacheFile, text("x"), 1n),
  "write to it by another name": () => libc.fcntl(cacheFile, F_DUPFD, 100),
  "write to it as a duplicate": () => libc.dup(cacheFile),
  "write to it as memory": () => libc.mmap(null, 1n, PROT_READ_WRITE, MAP_SHARED, cacheFile, 0n),
  "make memory to run a program from": () => libc.memfd_create(text("x"), 0),
  "open a TCP connection": () => libc.socket(AF_INET, SOCK_STREAM, 0),
  "make another UDP socket": () => libc.socket(AF_INET, SOCK_DGRAM, 0),
  "make a pair of sockets": () => libc.socketpair(AF_UNIX, SOCK_DGRAM, 0, new Int32Array(2)),
  "set an option of the socket": () => libc.setsockopt(socket.fd, 1, 8, Int32Array.of(9999), 4),
  "signal its supervisor": () => libc.kill(libc.getppid(), SIGNAL_NOTHING),
  "have the kernel signal for it": () => libc.fcntl(socket.fd, F_SETOWN, Deno.pid),
};

/** Attempts that must fail in any case, but not for want of a terminal or an address. */
const HOPELESS: Record<string, () => number | bigint> = {
  "type into its terminal": () => libc.ioctl(2, TIOCSTI, text("x")),
  "listen": () => libc.listen(socket.fd, 1),
};

/**
 * The calls that a confined process keeps, on x86-64: some of them would not come back. (335 and 336 are the kernel's
 * own probes, which no filter sees, and which nobody else may call.)
 */
// deno-fmt-ignore
const KEPT = [
  0, 1, 3, 7, 9, 10, 11, 12, 13, 14, 15, 16 /* fails anyway */, 19, 20, 24, 25, 28, 35, 39, 42, 44, 45, 46, 47, 48, 54,
  55, 56, 60, 72, 96, 98, 131, 143, 145, 157, 186, 202, 204, 219, 228, 229, 230, 231, 232, 233, 234, 271, 273, 281, 299,
  307, 318, 324, 329, 334, 335, 336, 441,
];
/** More than any kernel has so far. */
const CALL_COUNT = 500;
const CLONE3 = 435;

/** Every other call of the kernel, by its number, that failed for another reason than that it is not permitted. */
function callsLeft(): string[] {
  const numbers = Array.from({ length: CALL_COUNT }, (_, number) => number).filter((number) => !KEPT.includes(number));
  return numbers.flatMap((number) => {
    const result = libc.syscall(BigInt(number), -1n, -1n, -1n, -1n, -1n, -1n);
    const code = result === -1n ? errno() : 0;
    return code === (number === CLONE3 ? ENOSYS : EPERM) ? [] : [`${number}: ${code}`];
  });
}

const mapsFile = libc.open(text("/proc/self/maps"), 0, 0);
const openElsewhere = async () => await libc.openElsewhere(path("key"), 0, 0) >= 0 ? "done" : EPERM;
await openElsewhere(); // so that there is another thread
const reason = mode === "confined" ? confineWorker([new Uint8Array(pool.bytes, 100, 100)]) : undefined;
if (reason !== undefined) throw new Error(reason);
const attempts = mode === "confined" ? { ...ATTEMPTS, ...HOPELESS } : ATTEMPTS;
const outcomes = Object.entries(attempts).map(([name, attempt]) => [name, outcome(attempt())]);
outcomes.push(["read the key in another thread", await openElsewhere()]);
// Not where anything is permitted: some of those calls fork, wait for ever, or log everybody out.
const isConfined = outcomes.every(([, outcome]) => outcome === EPERM);
if (isConfined && Deno.build.arch === "x86_64") outcomes.push(["other calls", callsLeft().join(", ")]);
const written = [writable, readable, pool].map(writeByMemory);
console.log(JSON.stringify({ outcomes: Object.fromEntries(outcomes), written, shared: sharedMemory() }));

// What a worker does: it waits in other threads, has timers, allocates, reads stdin, and leaves its port's group.
await Promise.all(Array.from({ length: 8 }, () => socket.waitForDatagram(50)));
await new Promise((resolve) => setTimeout(resolve, 1));
const garbage = Array.from({ length: 50 }, () => new Uint8Array(2 ** 20).fill(1)).length;
for await (const _ of Deno.stdin.readable);
socket.leaveGroup();
console.log(`went on ${garbage}`);
if (end === "crash") setTimeout(() => crash());
if (end === "abort") libc.abort();

function crash() {
  throw new TypeError("a bug in a worker");
}
