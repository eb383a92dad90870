/** How many words a place has: see {@linkcode SourceMemory.places}. */
export const PLACE_WORDS = 4;

/** How many places for sources the memory of a pool has: a power of 2. */
export const SOURCE_PLACES = 2 ** 14;

/** How many numbers of 32 bits the secret of the places has. */
export const SECRET_WORDS = 5;

/** Memory in which to count the ids of sources in a tick. The workers of a node share it if they have a pool. */
export interface SourceMemory {
  /** The tick of the counts: one number. */
  readonly tick: Float64Array<ArrayBuffer>;
  /** Random numbers, {@linkcode SECRET_WORDS}, which decide in which places a source may lie. */
  readonly secret: Uint32Array<ArrayBuffer>;
  /**
   * Places of {@linkcode PLACE_WORDS} words, {@linkcode SOURCE_PLACES} in a pool: the source (two words), a word for
   * the tick in which it was last used, and how many ids it has had of that tick.
   */
  readonly places: Uint32Array<ArrayBuffer>;
  /** Waits until no other process uses the memory, and keeps all others from it. */
  lock(): void;
  /** Lets others use the memory again. */
  unlock(): void;
}

/**
 * Makes memory that this process does not share.
 *
 * @param places How many places it has.
 */
export function createSourceMemory(places: number = SOURCE_PLACES): SourceMemory {
  return {
    tick: new Float64Array(1),
    secret: crypto.getRandomValues(new Uint32Array(SECRET_WORDS)),
    places: new Uint32Array(places * PLACE_WORDS),
    lock: () => {},
    unlock: () => {},
  };
}
