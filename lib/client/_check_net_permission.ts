/**
 * Checks Deno's permission for the network. In Deno, `node:dgram` checks it as well, but throws where nothing can catch
 * the error, and `node:dns` reports another error. Other runtimes have no such permission.
 *
 * @param host The host, with or without a port.
 * @throws {Deno.errors.NotCapable} If Deno's permission `--allow-net` does not cover the host.
 */
export function checkNetPermission(host: string): void {
  if (globalThis.Deno === undefined || Deno.permissions.requestSync({ name: "net", host }).state === "granted") return;
  throw new Deno.errors.NotCapable(`Requires net access to "${host}", run again with the --allow-net flag`);
}
