/** The bits of a file's mode for users who are neither its owner nor in its group. */
const OTHERS = 0o007;
/** The bit that lets the group write. */
const GROUP_WRITES = 0o020;

/** The user id of root, who may read and change every file anyway. */
const ROOT = 0;

/**
 * Checks that only this user and root can have written a key file, and that only its owner and its group can have read
 * it. On Windows, which has neither modes nor user ids, it checks nothing.
 *
 * @param path The path of the file, for messages.
 * @param info The state of the open file. That of the path may be another's: a link can be changed in between.
 * @param ownUid Returns this process's user id. It is not called for a file of root's.
 * @throws {Deno.errors.PermissionDenied} If others may have changed or read the file, or that cannot be told.
 */
export function checkKeyAccess(
  path: string,
  { mode, uid }: Pick<Deno.FileInfo, "mode" | "uid">,
  ownUid: (path: string) => number | null = uidOfProcess,
): void {
  if (mode === null || uid === null) return;
  if ((mode & OTHERS) !== 0) {
    throw refusal(`other users may have read the key in ${path} (${modeText(mode)}): chmod o= ${path}`);
  }
  if ((mode & GROUP_WRITES) !== 0) {
    throw refusal(`its group may have changed the key in ${path} (${modeText(mode)}): chmod g-w ${path}`);
  }
  if (uid === ROOT) return;
  const own = ownUid(path);
  if (uid !== own) {
    throw refusal(
      `user ${uid} may have changed the key in ${path}, which must be root's or that of user ${own}, who runs this: ` +
        `chown ${own} ${path}`,
    );
  }
}

function refusal(message: string): Deno.errors.PermissionDenied {
  return new Deno.errors.PermissionDenied(message);
}

function modeText(mode: number): string {
  return `its mode is ${(mode & 0o777).toString(8).padStart(3, "0")}`;
}

/** Returns this process's user id. Deno must not ask for the permission: a service has nobody to answer. */
function uidOfProcess(path: string): number | null {
  if (Deno.permissions.querySync({ name: "sys", kind: "uid" }).state === "granted") return Deno.uid();
  throw refusal(
    `whether ${path} is this user's own cannot be told without the permission --allow-sys=uid: grant it, or chown 0 ` +
      path,
  );
}
