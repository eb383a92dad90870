import type { AccessOptions } from "../access/guarded_responder.ts";
import { explainKeyFileError, readKeyFile } from "../access/key_file.ts";
import { LAYOUTS } from "../id/presets.ts";
import { isLoopback, parseIpAddress } from "../udp/ip_address.ts";
import { ServeError, type ServeLog } from "./serve_error.ts";
import type { ServeOptions } from "./serve_options.ts";

/**
 * What the workers are to be told of who gets ids.
 *
 * @param options What to serve.
 * @param workers How many workers there are: an address may have its share of each one's ids.
 * @throws {ServeError} If there is no key in the file that is to have one.
 */
export async function readAccess(options: ServeOptions, workers: number): Promise<AccessOptions> {
  const { allow, keyFile, sourceShare, layout } = options;
  const idsPerWorker = (LAYOUTS[layout].maxSequence + 1) / workers;
  return {
    ...(allow === undefined ? {} : { allow }),
    ...(keyFile === undefined ? {} : { keyHex: await readKeyHex(keyFile) }),
    ...(sourceShare === undefined ? {} : { idsPerSource: Math.max(Math.floor(idsPerWorker * sourceShare / 100), 1) }),
  };
}

async function readKeyHex(path: string): Promise<string> {
  try {
    return (await readKeyFile(path)).toHex();
  } catch (error) {
    throw new ServeError(explainKeyFileError(error, path));
  }
}

/** Says so if other machines can have ids without being asked who they are. */
export function warnIfOpen({ hostname, allow, keyFile }: ServeOptions, log: ServeLog): void {
  if (allow !== undefined || keyFile !== undefined || isLoopback(parseIpAddress(hostname)!)) return;
  log.warn(
    `whoever reaches ${hostname} gets ids: let in only those you know with --allow RANGE, or with --key-file FILE those ` +
      "who have a key",
  );
}
