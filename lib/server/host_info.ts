import { readEnv } from "../base/read_env.ts";
import type { HolderInfo } from "../reservation/reservation.ts";
import { encodeAddress, isUnspecified } from "../udp/socket_address.ts";
import type { ServeOptions } from "./serve_options.ts";

/** The name of this host; empty if this process may not know it (`--allow-sys=hostname`). */
export function hostName(): string {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? Deno.hostname() : readEnv("HOSTNAME") ?? "";
}

/** Says who this server is, for the people and the clients who look into the store. */
export function hostInfo({ hostnames, port }: ServeOptions): HolderInfo {
  const host = hostName();
  const [hostname] = hostnames;
  const reachable = isUnspecified(encodeAddress(hostname, 0))
    ? host
    : hostname.includes(":")
    ? `[${hostname}]`
    : hostname;
  return {
    ...host !== "" && { host },
    ...reachable !== "" && port > 0 && { address: `${reachable}:${port}` },
  };
}
