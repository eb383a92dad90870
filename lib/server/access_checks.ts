import { DEFAULT_CLUSTER } from "../access/cluster.ts";
import type { AccessOptions, SourceLimitConfig } from "../access/guarded_responder.ts";
import { explainKeyFileError, readKeyFile } from "../access/key_file.ts";
import { LAYOUTS } from "../id/presets.ts";
import { isLoopback, parseIpAddress } from "../udp/ip_address.ts";
import { ServeError } from "./serve_error.ts";
import type { ServeLog } from "./serve_log.ts";
import type { ServeOptions } from "./serve_options.ts";

/**
 * Reads which clients get ids, as the workers need it.
 *
 * @param options The options of the server.
 * @param workers How many workers the node has.
 * @throws {ServeError} If the key file cannot be read, or holds no key.
 */
export async function readAccess(options: ServeOptions, workers: number): Promise<AccessOptions> {
  const { allow, keyFile, cluster } = options;
  const sourceLimit = sourceLimitOf(options, workers);
  return {
    ...(allow === undefined ? {} : { allow }),
    ...(keyFile === undefined ? {} : { signing: { keysHex: await readKeysHex(keyFile), cluster } }),
    ...(sourceLimit === undefined ? {} : { sourceLimit }),
  };
}

/**
 * How many ids of a tick one address gets: rounded down, so that it is never more than its share.
 *
 * @param options The options of the server.
 * @param workers How many workers the node has.
 */
export function sourceLimitOf(options: ServeOptions, workers: number): SourceLimitConfig | undefined {
  const { sourceShare, sourcePrefix: prefixBits, layout } = options;
  if (sourceShare === undefined) return undefined;
  return { idsPerTick: Math.floor((LAYOUTS[layout].maxSequence + 1) * sourceShare / 100), prefixBits, workers };
}

async function readKeysHex(path: string): Promise<string[]> {
  try {
    return (await readKeyFile(path)).map((key) => key.toHex());
  } catch (error) {
    throw new ServeError(explainKeyFileError(error, path), { cause: error });
  }
}

/** Warns if clients on other machines get ids without being authenticated. */
export function warnIfOpen({ hostnames, allow, keyFile }: ServeOptions, log: ServeLog): void {
  const open = hostnames.filter((hostname) => {
    const address = parseIpAddress(hostname);
    return address === undefined || !isLoopback(address);
  });
  if (allow !== undefined || keyFile !== undefined || open.length === 0) return;
  log.warn(
    `every client that reaches ${
      open.join(", ")
    } gets ids: restrict it by address with --allow RANGE, or by key with ` +
      "--key-file FILE",
  );
}

/** Warns if the cluster has the default name: other systems with the key may have it, too. */
export function warnOfDefaultCluster({ keyFile, cluster }: ServeOptions, log: ServeLog): void {
  if (keyFile === undefined || cluster !== DEFAULT_CLUSTER) return;
  log.warn(
    `the cluster has the default name, ${DEFAULT_CLUSTER}: all servers with this key and that name are one cluster, ` +
      "in which no node id may be in use twice; where systems share the key, give each of them a --cluster NAME, and " +
      "its clients the same name",
  );
}
