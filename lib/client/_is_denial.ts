/** Whether an error says that the program lacks one of Deno's permissions: then trying again is in vain. */
export function isDenial(error: Error): boolean {
  return globalThis.Deno !== undefined && error instanceof Deno.errors.NotCapable;
}
