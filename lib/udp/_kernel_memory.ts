/** The byte order of the kernel, on all machines that Deno runs on. */
const LITTLE_ENDIAN = true;

/**
 * A block of memory for structures that point at each other and that the kernel reads and writes.
 *
 * The kernel knows memory by its address only, and an address keeps nothing alive: V8 collects memory that no
 * JavaScript object references, and from then on the kernel fails to write there. So all structures of a user, and the
 * data that they point at, lie in one block, and the user keeps views of the block. A block is longer than 64 bytes: V8
 * keeps shorter arrays on its own heap, where they may move.
 */
export class KernelMemory {
  /** The block. */
  readonly buffer: ArrayBuffer;

  readonly #view: DataView<ArrayBuffer>;
  readonly #base: bigint;

  /** Allocates a number of bytes, all 0. */
  constructor(bytes: number) {
    this.buffer = new ArrayBuffer(bytes);
    this.#view = new DataView(this.buffer);
    this.#base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.buffer));
  }

  /**
   * The address of an offset, for a system call. A pointer costs less than a view, whose address Deno looks up in every
   * call.
   */
  pointerTo(offset: number): Deno.PointerValue {
    return Deno.UnsafePointer.create(this.#base + BigInt(offset));
  }

  /** Writes the address of one offset at another. */
  setPointer(offset: number, target: number): void {
    this.#view.setBigUint64(offset, this.#base + BigInt(target), LITTLE_ENDIAN);
  }

  /** Writes 32 bits. */
  setUint32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, LITTLE_ENDIAN);
  }

  /** Makes views of parts of equal length, one every `stride` bytes. */
  views(count: number, offset: number, stride: number, bytes: number): DataView<ArrayBuffer>[] {
    return Array.from({ length: count }, (_, i) => new DataView(this.buffer, offset + i * stride, bytes));
  }
}
