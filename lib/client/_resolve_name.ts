import { lookup } from "node:dns/promises";
import { checkNetPermission } from "./_check_net_permission.ts";

/**
 * Resolves a name to its addresses, of both families, in the order of the system's resolver.
 *
 * @throws {Deno.errors.NotCapable} If Deno's permission `--allow-net` does not cover the name.
 * @throws {Error} If the name has no address.
 */
export async function resolveName(hostname: string): Promise<string[]> {
  checkNetPermission(hostname);
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}
