import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { parseKeys, readKeyFile } from "../../lib/access/key_file.ts";
import { keyOf } from "./keys.ts";
import { TempDir } from "../../testing/temp_dir.ts";

const HEX = "fffc0a5cf1b7264873d0e85b1fa96c42ee2b97065ad4810f38c6bd7214f9a05e";
const KEY = Uint8Array.fromHex(HEX);
const BASE64 = "//wKXPG3Jkhz0OhbH6lsQu4rlwZa1IEPOMa9chT5oF4=";
const HOW = "make one with: (umask 077; openssl rand -hex 32 > FILE)";

describe("parseKeys", () => {
  const understood: [string, string][] = [
    ["hexadecimal digits", HEX],
    ["upper-case ones", HEX.toUpperCase()],
    ["ones after 0x", `0x${HEX}`],
    ["base64", BASE64],
    ["base64 without padding", BASE64.replace("=", "")],
    ["base64 of the other alphabet", BASE64.replaceAll("/", "_")],
    ["space around it", ` ${HEX}\r\n\n`],
  ];
  for (const [what, text] of understood) {
    it(`understands ${what}`, () => {
      assertEquals(parseKeys(text, "x"), [KEY]);
    });
  }

  it("reads two keys, in their order", () => {
    for (const between of ["\n", "\r\n", " \n\n \t", "\r"]) {
      assertEquals(parseKeys(`${BASE64}${between}${keyOf(1).toHex()}\n`, "x"), [KEY, keyOf(1)]);
    }
  });

  it("refuses more than two lines, and a second line that is no key", () => {
    const three = `${HEX}\n${HEX}\n${HEX}`;
    assertThrows(() => parseKeys(three, "k"), SyntaxError, "at most 2 keys, a line each, and k has 3 lines");
    assertThrows(() => parseKeys(`${HEX}\nnew key`, "k"), SyntaxError, "and line 2 of k is something else");
    assertThrows(() => parseKeys(`${"0".repeat(64)}\n${HEX}`, "k"), SyntaxError, "line 1 of k has the same few bytes");
  });

  it("takes longer keys", () => {
    assertEquals(parseKeys(HEX + HEX, "x"), [Uint8Array.of(...KEY, ...KEY)]);
    assertEquals(parseKeys(keyOf(1, 1000).toBase64(), "x"), [keyOf(1, 1000)]);
  });

  const none = [
    "",
    " \n",
    `${HEX} ${HEX}`,
    `${HEX}f`,
    `0x${HEX}f`,
    `${BASE64} #`,
    "+_".repeat(30),
    "é".repeat(40),
    "A=====",
  ];
  for (const text of none) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const message = `a key is one line of hexadecimal digits or base64, and k.txt is something else: ${HOW}`;
      assertEquals(assertThrows(() => parseKeys(text, "k.txt"), SyntaxError).message, message);
    });
  }

  for (const [text, length] of [[HEX.slice(2), 31], ["00", 1], [btoa("x".repeat(31)), 31]] as const) {
    it(`refuses a key of ${length} bytes: ${text}`, () => {
      const message = `a key has at least 32 bytes, and k.txt has ${length}: ${HOW}`;
      assertEquals(assertThrows(() => parseKeys(text, "k.txt"), SyntaxError).message, message);
    });
  }
});

describe("parseKeys, of a key that is not random", () => {
  it("refuses it, and does not show it", () => {
    for (const text of ["00".repeat(32), btoa("correct horse battery staple, and more")]) {
      const error = assertThrows(() => parseKeys(text, "k.txt"), SyntaxError, "a key is random bytes, and k.txt");
      assert(error.message.endsWith(HOW) && !error.message.includes(text) && !error.message.includes("horse"));
    }
  });
});

describe("readKeyFile", () => {
  async function keyFile(dir: TempDir, text: string, mode: number): Promise<string> {
    const path = `${dir.path}/key`;
    await Deno.writeTextFile(path, text);
    if (Deno.build.os !== "windows") await Deno.chmod(path, mode);
    return path;
  }

  async function run(command: string, ...args: string[]): Promise<void> {
    const { success } = await new Deno.Command(command, { args }).output();
    assert(success, `${command} ${args.join(" ")}`);
  }

  const chown = (...args: string[]) => run("chown", ...args);

  it("reads a key that the owner and the group may read, through a link as well", async () => {
    await using dir = await TempDir.make();
    for (const mode of [0o400, 0o600, 0o440, 0o640]) {
      assertEquals(await readKeyFile(await keyFile(dir, `${HEX}\n`, mode)), [KEY]);
      if (Deno.build.os !== "windows") {
        await run("ln", "-s", `${dir.path}/key`, `${dir.path}/link`);
        assertEquals(await readKeyFile(`${dir.path}/link`), [KEY]);
        await Deno.remove(`${dir.path}/link`);
      }
      await Deno.remove(`${dir.path}/key`);
    }
  });

  it("refuses a key that its group may write to", async () => {
    if (Deno.build.os === "windows") return;
    await using dir = await TempDir.make();
    for (const mode of [0o660, 0o620]) {
      const path = await keyFile(dir, HEX, mode);
      const message = `its group may have changed the key in ${path} (its mode is ${mode.toString(8)}): chmod g-w`;
      await assertRejects(() => readKeyFile(path), Deno.errors.PermissionDenied, message);
      await Deno.remove(path);
    }
  });

  it("refuses a key of another user's, and a link to it", async () => {
    if (Deno.build.os === "windows" || Deno.uid() !== 0) {
      return console.warn("key_file_test: left out, since a key of another user's needs root, who may give files away");
    }
    await using dir = await TempDir.make();
    const path = await keyFile(dir, HEX, 0o600);
    await chown("65534", path);
    await run("ln", "-s", path, `${dir.path}/link`);
    await chown("0", "-h", `${dir.path}/link`);
    for (const name of [path, `${dir.path}/link`]) {
      const message = `user 65534 may have changed the key in ${name}, which must be root's or that of user 0`;
      await assertRejects(() => readKeyFile(name), Deno.errors.PermissionDenied, message);
    }
    await chown("0", path);
    assertEquals(await readKeyFile(path), [KEY]);
  });

  it("refuses what is no regular file, without waiting for it, and a file too large", async () => {
    if (Deno.build.os === "windows") return;
    await using dir = await TempDir.make();
    await run("mkfifo", "-m", "600", `${dir.path}/pipe`);
    await Deno.writeTextFile(`${dir.path}/large`, `${HEX}\n`.repeat(2000), { mode: 0o600 });
    for (const name of ["pipe", "large", "."]) {
      const path = `${dir.path}/${name}`;
      await assertRejects(() => readKeyFile(path), SyntaxError, `at most 65536 bytes, and ${path} is something else`);
    }
  });

  it("refuses a key that others may read, write or run", async () => {
    if (Deno.build.os === "windows") return;
    await using dir = await TempDir.make();
    for (
      const [mode, text] of [[0o644, "644"], [0o604, "604"], [0o602, "602"], [0o601, "601"], [0o007, "007"]] as const
    ) {
      const path = await keyFile(dir, HEX, mode);
      const error = await assertRejects(() => readKeyFile(path), Deno.errors.PermissionDenied);
      // A test that is not root's cannot open the last one at all.
      if (mode !== 0o007) {
        assert(error.message.startsWith(`other users may have read the key in ${path} (its mode is ${text})`));
      }
      await Deno.remove(path);
    }
  });

  it("refuses a file without a key, and does not show its contents", async () => {
    await using dir = await TempDir.make();
    const path = await keyFile(dir, "my secret", 0o600);
    const error = await assertRejects(() => readKeyFile(path), SyntaxError, `${path} is something else`);
    assert(!error.message.includes("secret"));
  });

  it("fails if the file does not exist", async () => {
    await assertRejects(() => readKeyFile("tests/access/no-such-file"), Deno.errors.NotFound, "no-such-file");
  });
});
