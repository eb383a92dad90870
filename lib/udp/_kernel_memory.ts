/**
 * A block of memory that the kernel and this program share, for structures that point at each other.
 *
 * The kernel knows it by its addresses only, and those keep nothing alive: what no object of JavaScript leads to, V8 collects, and
 * from then on nothing could be received into it. So whoever has structures here has all of them, and the data they point at, in one
 * block, and keeps views of it that it works with. A block is above the 64 bytes up to which V8 keeps memory on its own heap, where
 * it may move.
 */
export class KernelMemory {
  /** The block. */
  readonly buffer: ArrayBuffer;

  readonly #view: DataView<ArrayBuffer>;
  readonly #base: bigint;

  /** Takes so many bytes, all 0. */
  constructor(bytes: number) {
    this.buffer = new ArrayBuffer(bytes);
    this.#view = new DataView(this.buffer);
    this.#base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.buffer));
  }

  /** The address of an offset, as a system call takes it: it costs less than a view, of which Deno looks up the address. */
  pointerTo(offset: number): Deno.PointerValue {
    return Deno.UnsafePointer.create(this.#base + BigInt(offset));
  }

  /** Writes the address of one offset at another. */
  setPointer(offset: number, target: number): void {
    this.#view.setBigUint64(offset, this.#base + BigInt(target), true);
  }

  /** Writes 32 bits. */
  setUint32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  /** As many views as there are parts that follow one another. */
  views(count: number, offset: number, stride: number, bytes: number): DataView<ArrayBuffer>[] {
    return Array.from({ length: count }, (_, i) => new DataView(this.buffer, offset + i * stride, bytes));
  }
}
