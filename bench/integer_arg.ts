/** Reads an argument of the command line that is a positive integer, or ends the program with a message. */
export function integerArg(index: number, name: string, otherwise: number): number {
  const value = Number(Deno.args[index] ?? otherwise);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`the number of ${name} must be a positive integer: got ${Deno.args[index]}`);
  Deno.exit(2);
}
