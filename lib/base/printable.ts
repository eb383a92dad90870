/** How many characters of a text are printed. */
const MAX_LENGTH = 4096;

/**
 * All that a terminal or a reader of logs could take for something else than text: control characters (C0, DEL, C1),
 * line and paragraph separators, invisible characters that turn the direction of what follows, halves of characters.
 */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/**
 * Makes a line of a text that may have come from a file, a process or the network: it moves no cursor, changes no
 * color, begins no line of its own, and reads in the order in which it was written. An escape, as JavaScript writes it,
 * takes the place of each character that could do so. A long text is cut.
 */
export function printable(text: string): string {
  const cut = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
  return cut.replace(UNPRINTABLE, escape);
}

function escape(character: string): string {
  const code = character.charCodeAt(0);
  if (character === "\n") return "\\n";
  return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}
