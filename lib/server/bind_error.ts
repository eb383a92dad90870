import { messageOf } from "../base/message_of.ts";

/**
 * Explains why a socket could not be bound, and how to repair it.
 *
 * @param error The error that binding threw.
 * @param hostname The address to bind.
 * @param port The port to bind.
 */
export function explainBindError(error: unknown, hostname: string, port: number): string {
  const where = `udp port ${port} of ${hostname}`;
  if (error instanceof Deno.errors.AddrInUse) return `${where} is taken: stop what has it, or choose another --port`;
  if (error instanceof Deno.errors.AddrNotAvailable) return `${hostname} is not an address of this machine: see --host`;
  if (error instanceof Deno.errors.PermissionDenied) {
    return `the system does not let this user have ${where}: choose a --port above 1023`;
  }
  if (error instanceof Deno.errors.NotCapable) return `the permission --allow-net=${hostname}:${port} is missing`;
  return `${where}: ${messageOf(error)}`;
}
