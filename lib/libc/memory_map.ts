import { cString, type Libc, systemError } from "./libc.ts";

/** As <fcntl.h> and <sys/mman.h> have them on Linux, on x86-64 and on ARM64. */
const O_RDONLY_CLOEXEC = 0o2000000;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const NO_FILE = -1;

/** The kernel hands out a page of the list at a time, 4 KiB or 64 KiB. */
const READ_BYTES = 65_536;

/**
 * A line of the list that is of shared memory (proc_pid_maps(5)): addresses, permissions, offset in the file, and the
 * device and inode of the file. `7f396cebb000-7f396cec3000 rw-s 00000000 fe:00 16042297    /root/...`
 */
const SHARED = /^([0-9a-f]+)-([0-9a-f]+) (.)(.).s [0-9a-f]+ ([0-9a-f]+:[0-9a-f]+ [0-9]+)/;

/** Shared memory. */
interface Shared {
  readonly start: bigint;
  /** The address behind it. */
  readonly end: bigint;
  readonly protection: number;
  /** The device and inode of its file. */
  readonly file: string;
}

/** The list of what is mapped into this process's memory, open to be read. */
export class MemoryMap implements Disposable {
  readonly #libc: Libc;
  readonly #fd: number;

  /** Opens the list. It is made when it is read. */
  constructor(libc: Libc) {
    this.#libc = libc;
    this.#fd = libc.open(cString("/proc/self/maps"), O_RDONLY_CLOEXEC, 0);
    if (this.#fd < 0) throw systemError(libc, "cannot read what memory this process shares");
  }

  /**
   * Puts private memory, zeros, in the place of all that this process shares with others through files, writable or
   * not: what is only read now could be made writable, if its file is open for that. The addresses stay taken, so that
   * whoever used that memory finds nothing in it, but does no harm when it gives it back.
   *
   * @param kept Views of shared memory: all that is of the same files stays.
   * @throws {Error} If some of the rest is left.
   */
  unshare(kept: readonly ArrayBufferView<ArrayBuffer>[]): void {
    const keptAt = kept.map((view) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(view)));
    const shared = this.#readShared();
    const keptFiles = shared.filter(({ start, end }) => keptAt.some((address) => start <= address && address < end))
      .map(({ file }) => file);
    for (const { start, end, protection } of shared.filter(({ file }) => !keptFiles.includes(file))) {
      const flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS;
      const address = Deno.UnsafePointer.create(start);
      const mapped = this.#libc.mmap(address, end - start, protection, flags, NO_FILE, 0n);
      if (Deno.UnsafePointer.value(mapped) !== start) throw systemError(this.#libc, "cannot give up shared memory");
    }
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#fd);
  }

  #readShared(): Shared[] {
    return this.#read().split("\n").flatMap((line) => {
      const [isShared, start, end, read, write, file] = SHARED.exec(line) ?? [];
      if (isShared === undefined) return [];
      const protection = (read === "r" ? PROT_READ : 0) | (write === "w" ? PROT_WRITE : 0);
      return [{ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), protection, file }];
    });
  }

  #read(): string {
    const chunk = new Uint8Array(READ_BYTES);
    let text = "";
    for (let length; (length = Number(this.#libc.read(this.#fd, chunk, BigInt(READ_BYTES)))) !== 0;) {
      if (length < 0) throw systemError(this.#libc, "cannot read what memory this process shares");
      text += new TextDecoder().decode(chunk.subarray(0, length));
    }
    return text;
  }
}
