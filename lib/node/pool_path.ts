import { openLibc } from "../libc/libc.ts";

/**
 * A tmpfs, since there a write to mapped memory never waits for a disk. It is gone after a reboot, when the pool would be worth nothing
 * anyway; in a container, it is gone with the container.
 */
const DIRECTORY = "/dev/shm";

/**
 * Where the pool of a node is: one place for all processes of this user that keep their reservations in the same directory, by
 * whatever path they know it.
 *
 * @param stateDir That directory.
 * @param nodeId The node.
 */
export function poolPathOf(stateDir: string, nodeId: number): string {
  const { dev, ino } = Deno.statSync(stateDir);
  return `${DIRECTORY}/global-id-${openLibc().geteuid()}-${dev.toString(16)}-${(ino ?? 0).toString(16)}-node-${nodeId}`;
}
