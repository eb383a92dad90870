/**
 * The entry point of workers of which some lie: `lying_worker.ts?when=…&text=…`. Worker 1 is sound but for writing the
 * text to the control channel, too: at its `start`, once it is `ready`, at `drain`, or at `stop`. In place of a text,
 * `times=N` has it write as many characters without an end; `print=…`, print a text to stderr; `lines=N`, print as many
 * lines there, and end; `close=1`, close its end of the channel; `spoil=…`, write to the pool's memory; `leave=1`, end
 * and leave a process behind that holds the channel's end open. The other workers are sound.
 */
import { runWorker } from "../../lib/server/worker.ts";
import { HEADER_BYTES, RawPool, WORD } from "../node/raw_pool.ts";

const { searchParams } = new URL(import.meta.url);
const when = searchParams.get("when");
const text = searchParams.get("text");
const times = Number(searchParams.get("times"));

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
}

/** Longer than any test waits, in s. */
const HELD_OPEN_S = 40;

/** What a worker with FFI can do. */
function libc() {
  return Deno.dlopen("libpthread.so.0", {
    close: { parameters: ["i32"], result: "i32" },
    readlink: { parameters: ["buffer", "buffer", "usize"], result: "isize" },
    fork: { parameters: [], result: "i32" },
    sleep: { parameters: ["u32"], result: "u32" },
    _exit: { parameters: ["i32"], result: "void" },
  }).symbols;
}

/**
 * Makes a function that closes all file descriptors of the channel: Deno has some besides 1. A worker that is confined
 * can close them, but not find them.
 */
function channelCloser(): () => void {
  const { close, readlink } = libc();
  const fileAt = (fd: number) => {
    const name = new Uint8Array(64);
    readlink(new TextEncoder().encode(`/proc/self/fd/${fd}\0`), name, BigInt(name.length));
    return new TextDecoder().decode(name);
  };
  const channel = fileAt(1);
  const fds = Array.from({ length: 64 }, (_, fd) => fd).filter((fd) => fd > 0 && fileAt(fd) === channel);
  return () => fds.forEach((fd) => close(fd));
}

const closeChannel = searchParams.has("close") ? channelCloser() : undefined;

function leaveProcess(): never {
  const { fork, sleep, _exit } = libc();
  if (fork() === 0) {
    sleep(HELD_OPEN_S);
    _exit(0);
  }
  Deno.exit(7);
}

function printLines(count: number): never {
  for (let line = 0; line < count; line++) console.error("all is well");
  Deno.exit(7);
}

/** Writes to the pool's memory: `spoil=WORD,VALUE` to one of its words, `spoil=mutex` to its mutex. */
function spoil(): void {
  if (memory === undefined) return;
  const [what, value] = searchParams.get("spoil")?.split(",") ?? [];
  if (what === "mutex") return void memory.bytes.set([1, 0, 0, 0], HEADER_BYTES); // locked by process 1, for ever
  memory.words[WORD[what as keyof typeof WORD]] = Number(value);
}

function lie(): void {
  if (searchParams.has("spoil")) return spoil();
  if (searchParams.has("print")) return console.error(searchParams.get("print"));
  if (searchParams.has("lines")) return printLines(Number(searchParams.get("lines")));
  if (closeChannel !== undefined) return closeChannel();
  if (searchParams.has("leave")) return leaveProcess();
  if (text !== null) return write(text);
  for (let left = times; left > 0; left -= 1000) write("x".repeat(Math.min(left, 1000)));
}

let isLiar = false;
/** The pool's memory, which is mapped before the worker gives up to open files. */
let memory: RawPool | undefined;

/** Lies before the sound worker reads the message. */
const listening = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
  transform(chunk, controller) {
    const lines = new TextDecoder().decode(chunk);
    isLiar ||= /"type":"start".*"worker":1[,}]/.test(lines);
    const poolPath = lines.match(/"kind":"pool","path":"([^"]+)"/)?.[1];
    if (poolPath !== undefined && searchParams.has("spoil")) memory = new RawPool(poolPath);
    if (isLiar && lines.includes(`"type":"${when}"`)) lie();
    controller.enqueue(chunk);
  },
});
const { readable } = Deno.stdin;
Object.defineProperty(Deno.stdin, "readable", { value: readable.pipeThrough(listening) });

const { writeSync } = Deno.stdout;
if (when === "ready") {
  Deno.stdout.writeSync = (bytes) => {
    const written = writeSync.call(Deno.stdout, bytes);
    if (isLiar && new TextDecoder().decode(bytes).includes('"type":"ready"')) {
      Deno.stdout.writeSync = writeSync;
      lie();
    }
    return written;
  };
}

if (Deno.args[0] === "worker") await runWorker(Deno.args[1]);
