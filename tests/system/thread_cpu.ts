const MASK_BYTES = 128; // 1024 CPUs, a bit for each

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  sched_getaffinity: { parameters: ["i32", "usize", "buffer"], result: "i32" },
  sched_setaffinity: { parameters: ["i32", "usize", "buffer"], result: "i32" },
});

/** The CPU that this thread runs on. Disposed of, it lets it run on those that it might run on before. */
export class ThreadCpu implements Disposable {
  readonly #before = new Uint8Array(MASK_BYTES);

  constructor() {
    libc.sched_getaffinity(0, BigInt(MASK_BYTES), this.#before);
  }

  /** Has the thread go on on this CPU. */
  moveTo(cpu: number): void {
    const mask = new Uint8Array(MASK_BYTES);
    mask[cpu >>> 3] = 1 << (cpu & 7);
    this.#set(mask);
  }

  [Symbol.dispose](): void {
    this.#set(this.#before);
  }

  #set(mask: Uint8Array<ArrayBuffer>): void {
    if (libc.sched_setaffinity(0, BigInt(MASK_BYTES), mask) !== 0) throw new Error("this thread cannot be moved");
  }
}
