import { type Libc, systemError } from "./libc.ts";

/** A system call that stays allowed. */
export interface AllowedCall {
  /** The call's number on this architecture. */
  readonly number: number;
  /** What the arguments must be; left out: anything. A call with several entries is allowed if one of them fits. */
  readonly where?: readonly ArgumentRule[];
}

/** The values that an argument may have. */
export interface ArgumentRule {
  /** The argument's place, from 0. */
  readonly argument: number;
  /** Its values. Only the lower 32 bits count, which is all that the kernel takes for an `int`. */
  readonly values: readonly number[];
}

/** Which system calls a process keeps. All others fail with EPERM, and so do those of another architecture. */
export interface SystemCallFilter {
  /** The calls that work. */
  readonly allowed: readonly AllowedCall[];
  /** The numbers of calls that fail with ENOSYS, as in a kernel without them: libc then takes an older one. */
  readonly absent: readonly number[];
}

/** As <linux/prctl.h>, <linux/seccomp.h> and <asm-generic/errno.h> have them. */
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
/** The filter holds for all threads, and slows down no code by measures against the reading of others' memory. */
const SECCOMP_FILTER_FLAGS = 1 | 4; // TSYNC, SPEC_ALLOW
const SECCOMP_RET_ALLOW = 0x7fff_0000;
const SECCOMP_RET_ERRNO = 0x0005_0000;
const EPERM = 1;
const ENOSYS = 38;

/** What differs between the architectures that Deno has. As <linux/audit.h> and <asm/unistd.h> have them. */
const { AUDIT_ARCH, SYS_SECCOMP } = Deno.build.arch === "aarch64"
  ? { AUDIT_ARCH: 0xc000_00b7, SYS_SECCOMP: 277 }
  : { AUDIT_ARCH: 0xc000_003e, SYS_SECCOMP: 317 };

/** Offsets, in bytes, of `struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; }`. */
const NR = 0;
const ARCH = 4;
const ARGS = 16;
/** Both architectures are. The lower half of an argument comes first. */
const LITTLE_ENDIAN = true;

/** `struct sock_filter { __u16 code; __u8 jt; __u8 jf; __u32 k; }`: the instructions of classic BPF that are used. */
type Instruction = readonly [code: number, jt: number, jf: number, k: number];
const load = (offset: number): Instruction => [0x20, 0, 0, offset];
/** Skips so many instructions if the loaded word is equal, or else so many others. */
const ifEqual = (value: number, then: number, otherwise: number): Instruction => [0x15, then, otherwise, value >>> 0];
const skip = (count: number): Instruction => [0x05, 0, 0, count];
const answer = (verdict: number): Instruction => [0x06, 0, 0, verdict];

/**
 * Gives up, for this whole process and for good, all system calls but some (seccomp(2)). Programs that it runs get no
 * privileges of their files from then on (PR_SET_NO_NEW_PRIVS), without which the kernel takes a filter from root only.
 *
 * @param libc The functions of libc.
 * @param filter The calls that stay.
 * @throws {Error} If the kernel takes no filter; the process keeps all calls then.
 */
export function filterSystemCalls(libc: Libc, filter: SystemCallFilter): void {
  if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n) !== 0) throw systemError(libc, "cannot give up new privileges");
  const instructions = encode(assemble(filter));
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, instructions.length / 8, LITTLE_ENDIAN);
  program.setBigUint64(8, Deno.UnsafePointer.value(Deno.UnsafePointer.of(instructions)), LITTLE_ENDIAN);
  const result = libc.syscall(
    BigInt(SYS_SECCOMP),
    BigInt(SECCOMP_SET_MODE_FILTER),
    BigInt(SECCOMP_FILTER_FLAGS),
    program,
  );
  if (result > 0n) throw new Error(`cannot filter system calls: thread ${result} of this process has another filter`);
  if (result !== 0n) throw systemError(libc, "cannot filter system calls");
}

function assemble({ allowed, absent }: SystemCallFilter): Instruction[] {
  return [
    load(ARCH),
    ifEqual(AUDIT_ARCH, 1, 0),
    answer(SECCOMP_RET_ERRNO | EPERM),
    ...absent.flatMap((number) => onCall(number, [answer(SECCOMP_RET_ERRNO | ENOSYS)])),
    ...allowed.flatMap(({ number, where = [] }) => onCall(number, conditions(where, [answer(SECCOMP_RET_ALLOW)]))),
    answer(SECCOMP_RET_ERRNO | EPERM),
  ];
}

/** Runs a body if this is the call, and goes on after it otherwise. */
function onCall(number: number, body: Instruction[]): Instruction[] {
  return [load(NR), ifEqual(number, 1, 0), skip(body.length), ...body];
}

/** Runs a body if the arguments are as they must be, and goes on after it otherwise. */
function conditions(rules: readonly ArgumentRule[], body: Instruction[]): Instruction[] {
  return rules.reduceRight<Instruction[]>((rest, { argument, values }) => [
    load(ARGS + 8 * argument),
    // A jump on a condition reaches 255 instructions at most, so each value has a jump of its own.
    ...values.flatMap((value, i) => [ifEqual(value, 0, 1), skip(2 * (values.length - i - 1) + 1)]),
    skip(rest.length),
    ...rest,
  ], body);
}

function encode(instructions: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(instructions.length * 8));
  for (const [i, [code, jt, jf, k]] of instructions.entries()) {
    view.setUint16(8 * i, code, LITTLE_ENDIAN);
    view.setUint8(8 * i + 2, jt);
    view.setUint8(8 * i + 3, jf);
    view.setUint32(8 * i + 4, k, LITTLE_ENDIAN);
  }
  return new Uint8Array(view.buffer);
}
