/**
 * The header of a pool's memory, version 4: text, padded with zeros, that names everything a pool belongs to. It never
 * changes.
 *
 *     global-id pool 4                          the version of the memory, header included
 *     boot 4f6b…                                the boot of the system
 *     node 0
 *     layout v1 time=37 sequence=17 …           see `IdLayout.key`
 *     holder 0b2c…                              the holder in the reservation store whose ticks the pool counts
 *
 * @module
 */
import { GlobalIdError } from "../base/errors.ts";
import type { IdLayout } from "../id/layout.ts";

/** The length of the header, in bytes. */
export const HEADER_BYTES = 1024;

/** The first line, up to the version. */
const TITLE = "global-id pool ";
const VERSION = "4";
/** The index of the line that names the holder, and how that line begins. */
const HOLDER_LINE = 4;
const HOLDER = "holder ";

/** What a pool belongs to. */
export interface PoolIdentity {
  /** The boot of the system: see `readBootId`. */
  readonly boot: string;
  /** The node. */
  readonly nodeId: number;
  /** How ids are laid out. */
  readonly layout: IdLayout;
  /** The holder's name in the reservation store. */
  readonly holder: string;
}

/** A pool cannot be used here; the message says why. */
export class PoolError extends GlobalIdError {
  /** The name of the class. */
  override name = "PoolError";
}

/** Writes the header into {@linkcode HEADER_BYTES} zeros. */
export function writePoolHeader(bytes: Uint8Array, identity: PoolIdentity): void {
  bytes.set(new TextEncoder().encode(textOf(identity)));
}

/** Whether the bytes are the header of a pool of this version, whatever that belongs to. */
export function isPoolHeader(bytes: Uint8Array): boolean {
  return linesOf(bytes)[0] === TITLE + VERSION;
}

/** Reads the name of the holder. */
export function holderInPoolHeader(bytes: Uint8Array): string {
  return linesOf(bytes)[HOLDER_LINE].slice(HOLDER.length);
}

/**
 * Checks that a pool belongs to a boot, node and layout, whoever its holder is.
 *
 * @param bytes The header.
 * @param identity The boot, node and layout.
 * @throws {PoolError} If the pool belongs to something else, is damaged, or has another version.
 */
export function checkPoolHeader(bytes: Uint8Array, identity: Omit<PoolIdentity, "holder">): void {
  const lines = linesOf(bytes);
  if (!lines[0].startsWith(TITLE)) throw new PoolError("the pool is damaged: it does not begin as one");
  const version = lines[0].slice(TITLE.length);
  if (version !== VERSION) throw new PoolError(`the pool is of version ${version}, and this program knows ${VERSION}`);
  const wanted = textOf({ ...identity, holder: "" }).split("\n");
  const differs = wanted.findIndex((line, i) => i < HOLDER_LINE && line !== lines[i]);
  if (differs >= 0) {
    throw new PoolError(`the pool is of ${lines[differs] || "nothing"}, and this is ${wanted[differs]}`);
  }
  if (!/^holder \S+$/.test(lines[HOLDER_LINE] ?? "")) throw new PoolError("the pool is damaged: it names no holder");
}

function textOf({ boot, nodeId, layout, holder }: PoolIdentity): string {
  return `${TITLE}${VERSION}\nboot ${boot}\nnode ${nodeId}\nlayout ${layout.key}\n${HOLDER}${holder}\n`;
}

function linesOf(bytes: Uint8Array): string[] {
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0))).split("\n");
}
