import { openLibc } from "../libc/libc.ts";

/**
 * A tmpfs: a store to mapped memory never waits for a disk. A tmpfs is empty after a reboot, when a pool would be worth
 * nothing anyway. In a container, it lives as long as the container.
 */
const DIRECTORY = "/dev/shm";

/**
 * Names the file of a node's pool. All servers of this user that share a state directory get the same name, by whatever
 * path they know that directory.
 *
 * @param stateDir The state directory.
 * @param nodeId The node.
 */
export function poolPathOf(stateDir: string, nodeId: number): string {
  const { dev, ino } = Deno.statSync(stateDir);
  return `${DIRECTORY}/global-id-${openLibc().geteuid()}-${dev.toString(16)}-${(ino ?? 0).toString(16)}-node-${nodeId}`;
}
