import { childCommand, type ChildOptions } from "./child_command.ts";

/**
 * Runs a program to its end.
 *
 * @returns What it printed on standard output.
 * @throws {Error} If it fails; with what it printed.
 * @throws {unknown} The reason of the signal, if that ended it.
 */
export async function runProgram(command: string[], options: ChildOptions = {}): Promise<string> {
  options.signal?.throwIfAborted();
  const output = await childCommand(command, options).output();
  options.signal?.throwIfAborted();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!output.success) throw new Error(`${command[0]} failed: ${(stderr + stdout).trim()}`);
  return stdout;
}
