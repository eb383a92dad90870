import { assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkKeyAccess } from "../../lib/access/check_key_access.ts";

const REGULAR_FILE = 0o100000;
const OWN = 1000;

function check(mode: number, uid: number, ownUid: () => number | null = () => OWN): void {
  checkKeyAccess("/k", { mode: REGULAR_FILE | mode, uid }, ownUid);
}

describe("checkKeyAccess", () => {
  it("accepts this user's file and root's, in every mode that lets nobody else write and no others read", () => {
    for (const mode of [0o400, 0o600, 0o700, 0o440, 0o640, 0o750]) {
      for (const uid of [OWN, 0]) check(mode, uid);
    }
  });

  it("does not ask whose process this is for a file of root's", () => {
    check(0o600, 0, () => {
      throw new Error("it asked");
    });
  });

  it("refuses every mode with a bit for others, or the bit that lets the group write", () => {
    for (let mode = 0; mode < 0o1000; mode++) {
      if ((mode & 0o027) === 0) {
        check(mode, OWN);
        continue;
      }
      const message = (mode & 0o007) !== 0
        ? `other users may have read the key in /k (its mode is ${mode.toString(8).padStart(3, "0")}): chmod o= /k`
        : `its group may have changed the key in /k (its mode is ${mode.toString(8).padStart(3, "0")}): chmod g-w /k`;
      for (const uid of [OWN, 0]) assertThrows(() => check(mode, uid), Deno.errors.PermissionDenied, message);
    }
  });

  it("refuses another user's file, also where root runs the process", () => {
    const message = "user 1001 may have changed the key in /k, which must be root's or that of user";
    assertThrows(() => check(0o600, 1001), Deno.errors.PermissionDenied, `${message} ${OWN}, who runs this: chown`);
    assertThrows(() => check(0o600, 1001, () => 0), Deno.errors.PermissionDenied, `${message} 0, who runs this: chown`);
  });

  it("says so if it may not know whose process this is, and asks nobody", async () => {
    const module = new URL("../../lib/access/check_key_access.ts", import.meta.url);
    const code = `Deno.permissions.revokeSync({ name: "sys" });
      const { checkKeyAccess } = await import("${module}");
      checkKeyAccess("/k", { mode: 0o600, uid: 7 });`;
    const { stderr } = await new Deno.Command(Deno.execPath(), { args: ["eval", code] }).output();
    assertStringIncludes(
      new TextDecoder().decode(stderr),
      "whether /k is this user's own cannot be told without the permission --allow-sys=uid: grant it, or chown 0 /k",
    );
  });

  it("checks nothing where files have no mode", () => {
    checkKeyAccess("/k", { mode: null, uid: null }, () => null);
  });
});
