import { uniqueToken } from "../base/unique_token.ts";
import { type AttemptLog, MemoryAttemptLog } from "./attempt_log.ts";
import type { CheckedStore, FoundRecord } from "./checked_store.ts";
import { NodeHeldError, OvertakenError, StoreWentBackError } from "./errors.ts";
import { formatHolder, NOBODY, parseHolder } from "./holder_on_record.ts";
import type { HolderOptions } from "./holder_options.ts";
import { type OwnRead, readOwn } from "./read_own.ts";
import { describeHolder, type Reservation } from "./reservation.ts";

/** What an {@linkcode OwnRecord} works with. */
export interface OwnRecordOptions
  extends Pick<HolderOptions, "nodeId" | "layout" | "clock" | "name" | "attempts" | "fillRandom" | "info" | "warn"> {
  /** Where the record is kept. */
  readonly store: CheckedStore;
  /** Whether others may own ticks from this mark on by now, if the store has gone back. */
  readonly isOver: (mark: number) => Promise<boolean>;
}

/** Which record a holder begins with. */
export interface FirstRecord {
  /** The record that the first change replaces; `undefined`: there is none. */
  readonly found: FoundRecord | undefined;
  /** The same, if that change is a claim: another holder's record. */
  readonly replaced?: FoundRecord | undefined;
  /** The first tick that the holder does not own. */
  readonly mark: number;
}

/**
 * A holder's record in the store: what the holder has written, and writes next.
 *
 * Every change of the record names the record that it replaces. So once another holder has changed the record, all
 * changes of this holder fail, and its mark stays where it is; the ticks below the mark stay its own. If the reply to a
 * change got lost, the holder learns of that change with its next one: it finds an attempt on record that it has noted.
 *
 * A copy of this process's memory has this holder's name, but notes attempts of its own. So one of the two changes the
 * record first, and the other loses the node.
 *
 * A mark counts once the store has acknowledged its write to this holder. One that was only read may be forgotten by a
 * store that goes back: its own write may never have been acknowledged.
 */
export class OwnRecord {
  readonly #options: OwnRecordOptions;
  #attempts: AttemptLog;
  /** The record as this holder last read or wrote it: the one that its next change replaces. */
  #found: FoundRecord | undefined;
  /** The highest beat that this holder knows. */
  #beat: number;
  /** What this holder has replaced when it claimed the node. */
  readonly #replaced: FoundRecord | undefined;
  #mark: number;

  /**
   * Begins with a record; nothing is written yet.
   *
   * @param options What there is to work with.
   * @param first The record.
   */
  constructor(options: OwnRecordOptions, { found, replaced, mark }: FirstRecord) {
    this.#options = options;
    this.#attempts = options.attempts ?? new MemoryAttemptLog();
    this.#found = found;
    this.#beat = found?.record.beat ?? 0;
    this.#replaced = replaced;
    this.#mark = mark;
  }

  /** The first tick that the holder does not own. */
  get mark(): number {
    return this.#mark;
  }

  /** The mark of the record that was replaced when the node was claimed; 0 if there was none. */
  get replacedMark(): number {
    return this.#replaced?.record.mark ?? 0;
  }

  /** The attempt by which the holder wrote the record. */
  get attempt(): string {
    return parseHolder(this.#found?.record.holder ?? "").attempt;
  }

  /** From now on, notes attempts in this log, which has the attempt on record already. No change must be under way. */
  noteIn(attempts: AttemptLog): void {
    this.#attempts = attempts;
  }

  /**
   * Writes a claim. If the reply gets lost, looks for its own record, and writes once more.
   *
   * @param mark The mark.
   * @throws {OvertakenError} If another holder has changed the record meanwhile.
   * @throws {unknown} What the store throws.
   */
  async claim(mark: number): Promise<void> {
    try {
      if (await this.#tryToChange(() => mark)) return;
    } catch (error) {
      const { found, isOwn } = await this.#readOwn().catch(() => ({ found: undefined, isOwn: false }));
      if (!isOwn || found === undefined) throw error;
      this.#base(found);
      if (await this.#tryToChange((before) => Math.max(mark, before))) return;
    }
    throw new OvertakenError(this.#options.nodeId);
  }

  /**
   * Replaces the record. If the store had made an earlier change of this holder without a reply, replaces that one.
   *
   * @param markOf Makes the next mark from the present one.
   * @param name Who has the node then. Left out: this holder.
   * @throws {NodeHeldError} If another holder has taken the node, or may have.
   * @throws {unknown} What the store throws. The mark is then as it was.
   */
  async change(markOf: (before: number) => number, name?: typeof NOBODY): Promise<void> {
    if (this.#attempts.isFull) {
      await this.#lookAgain();
      this.#attempts.keepOnly(this.attempt);
    }
    if (await this.#tryToChange(markOf, name)) return;
    await this.#lookAgain();
    await this.#tryToChange(markOf, name);
  }

  /** Replaces the record if it is as this holder knows it, and returns whether it was. */
  async #tryToChange(markOf: (before: number) => number, name: string = this.#options.name): Promise<boolean> {
    const { store, nodeId, fillRandom, layout, clock, info = {} } = this.#options;
    const expected = this.#found;
    const attempt = uniqueToken(fillRandom);
    const next: Reservation = {
      mark: markOf(Math.max(this.#mark, expected?.record.mark ?? 0)),
      beat: this.#beat + 1,
      holder: formatHolder({ name, attempt }),
      writtenMs: Math.floor(clock.now()),
      layout: layout.key,
      info: name === NOBODY ? {} : info,
    };
    this.#attempts.note(attempt);
    const made = await store.compareAndSet(nodeId, expected, next);
    if (made === undefined) {
      this.#attempts.forget(attempt);
      return false;
    }
    this.#attempts.settle(attempt);
    this.#adopt(made);
    this.#mark = Math.max(this.#mark, next.mark);
    return true;
  }

  /** Finds out why a change was refused, and what the next one has to replace. */
  async #lookAgain(): Promise<void> {
    const knownBeat = this.#beat;
    const { found, isOwn } = await this.#readOwn();
    if (isOwn && found !== undefined && found.record.beat >= knownBeat) {
      this.#attempts.settle(parseHolder(found.record.holder).attempt);
      this.#base(found);
      return;
    }
    const what = this.#howItWentBack(found, knownBeat);
    if (await this.#options.isOver(this.#mark)) {
      throw new NodeHeldError(
        `${what}: the store has gone back, and this holder's reservation is over, so another may have had the node ` +
          "meanwhile: start anew",
      );
    }
    this.#found = found;
    this.#options.warn?.(new StoreWentBackError(`${what}: the store has gone back; this holder writes it again`));
  }

  /**
   * Tells in which way the store has gone back, as a record shows that is not this holder's latest.
   *
   * @throws {NodeHeldError} If another holder has taken the node, or may have.
   */
  #howItWentBack(found: FoundRecord | undefined, knownBeat: number): string {
    if (found === undefined) return `the record of node ${this.#options.nodeId} is gone`;
    const older = `the record of node ${this.#options.nodeId} is older than it was`;
    const { record, text } = found;
    if (parseHolder(record.holder).name === this.#options.name && record.beat < knownBeat) return older;
    if (text === this.#replaced?.text) return older;
    if (record.beat > (this.#replaced?.record.beat ?? 0)) {
      const holder = describeHolder(record);
      throw new NodeHeldError(
        `node ${this.#options.nodeId} was taken by another holder: there can be only one at a time (it is ${holder})`,
      );
    }
    // It is from longer ago, or of a holder that goes on from such a record: its beats are low, too.
    throw new NodeHeldError(
      `${older}: the store has gone back, and ${describeHolder(record)}, which is on record, may have the node now`,
    );
  }

  #readOwn(): Promise<OwnRead> {
    return readOwn(this.#options.store, this.#options.nodeId, (record) => this.#isOwn(record));
  }

  #isOwn(record: Reservation): boolean {
    const { name, attempt } = parseHolder(record.holder);
    return name === this.#options.name && this.#attempts.has(attempt);
  }

  /** Notes what was written, unless the reply that says so was slower than that to a later change. */
  #adopt(made: FoundRecord): void {
    if (made.record.beat > this.#beat) this.#base(made);
  }

  /** Has the next change replace this record. */
  #base(found: FoundRecord): void {
    this.#found = found;
    this.#beat = Math.max(this.#beat, found.record.beat);
  }
}
