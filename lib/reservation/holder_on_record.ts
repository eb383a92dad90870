/** The name on record of a node that was given back. */
export const NOBODY = "";

/** The holder of a node, as a record names it: `NAME/ATTEMPT`. */
export interface HolderOnRecord {
  /** The holder's name; {@linkcode NOBODY} once that one has given the node back. */
  readonly name: string;
  /** The attempt by which the holder wrote this record; empty on a record that an earlier version wrote. */
  readonly attempt: string;
}

/** Writes the holder as it is put on record. */
export function formatHolder({ name, attempt }: HolderOnRecord): string {
  return `${name}/${attempt}`;
}

/** Reads the holder of a record. */
export function parseHolder(text: string): HolderOnRecord {
  const [name, attempt = ""] = text.split("/", 2);
  return { name, attempt };
}

/** Whether a record says that nobody has the node: its last holder has given it back. */
export function isGivenBack({ holder }: { readonly holder: string }): boolean {
  return parseHolder(holder).name === NOBODY;
}
