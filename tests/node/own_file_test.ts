import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openLibc } from "../../lib/libc/libc.ts";
import { createOwnFile, createUnnamedFile, ForeignFileError, openOwnFile } from "../../lib/node/own_file.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { libcWithErrno, WRONG_ERRNOS } from "../wrong_errno.ts";

const libc = openLibc();
const isRoot = libc.geteuid() === 0;
if (!isRoot) console.warn("own_file_test: left out, since another user's file needs root, who may give files away");

/** Makes a file as `createOwnFile` does, in a directory that is gone afterwards. */
async function setUp() {
  const temp = await TempDir.make();
  const path = `${temp.path}/file`;
  const file = createOwnFile(libc, path, 100);
  file.put();
  libc.close(file.fd);
  return { path, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() };
}

/** Opens a file and closes it again. */
function lengthOf(path: string): number | undefined {
  const file = openOwnFile(libc, path);
  if (file !== undefined) libc.close(file.fd);
  return file?.bytes;
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(command, { args }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
}

describe("openOwnFile", () => {
  it("opens a file of createOwnFile, and tells its length", async () => {
    await using file = await setUp();
    assertEquals(lengthOf(file.path), 100);
  });

  it("returns undefined if there is no file", async () => {
    await using temp = await TempDir.make();
    assertEquals(lengthOf(`${temp.path}/file`), undefined);
    assertEquals(lengthOf(`${temp.path}/directory/file`), undefined);
  });

  const foreign: [what: string, why: string, lay: (path: string) => Promise<void>][] = [
    ["a link to another file", "cannot be opened (probably: Too many levels of symbolic links)", async (path) => {
      await Deno.rename(path, `${path}.real`);
      await run("ln", "-s", `${path}.real`, path);
    }],
    ["a link to nothing", "cannot be opened (probably: Too many levels of symbolic links)", async (path) => {
      await Deno.remove(path);
      await run("ln", "-s", "nothing", path);
    }],
    ["a file that others may read", "has the mode 100640 instead of 100600", (path) => Deno.chmod(path, 0o640)],
    ["a file that others may write", "has the mode 100602 instead of 100600", (path) => Deno.chmod(path, 0o602)],
    ["a file that runs as its owner", "has the mode 104600 instead of 100600", (path) => run("chmod", "4600", path)],
    ["a file with another name", "has more than one name, or none", (path) => Deno.link(path, `${path}.too`)],
    ["a directory", "cannot be opened (probably: Is a directory)", async (path) => {
      await Deno.remove(path);
      await Deno.mkdir(path, { mode: 0o600 });
    }],
    ["a pipe", "has the mode 10600 instead of 100600", async (path) => {
      await Deno.remove(path);
      await run("mkfifo", "-m", "600", path);
    }],
  ];
  for (const [what, why, lay] of foreign) {
    it(`refuses ${what}`, async () => {
      await using file = await setUp();
      await lay(file.path);
      const files = new Set<number>();
      const open: typeof libc.open = (...args) => {
        const fd = libc.open(...args);
        if (fd >= 0) files.add(fd);
        return fd;
      };
      const close: typeof libc.close = (fd) => (files.delete(fd), libc.close(fd));
      assertThrows(() => openOwnFile({ ...libc, open, close }, file.path), ForeignFileError, `${file.path} ${why}`);
      assertEquals(files.size, 0, "it is not left open");
    });
  }

  for (const code of WRONG_ERRNOS) {
    it(`tells no file from one that it cannot open, whatever errno says: ${code}`, async () => {
      const libc = libcWithErrno(code);
      await using file = await setUp();
      const { path } = file;
      assertEquals(openOwnFile(libc, `${path}.other`), undefined);
      assertEquals(openOwnFile(libc, `${path}.directory/file`), undefined);
      assertThrows(() => openOwnFile(libc, `${path}/file`), ForeignFileError, "cannot be opened (probably: ");
      await Deno.remove(path);
      await run("ln", "-s", "nothing", path);
      assertThrows(() => openOwnFile(libc, path), ForeignFileError, "cannot be opened (probably: ");
      await Deno.remove(path);
      await Deno.mkdir(path);
      assertThrows(() => openOwnFile(libc, path), ForeignFileError, "cannot be opened (probably: ");
    });
  }

  it("opens a file that is put there after the first try", async () => {
    await using file = await setUp();
    let isThere = false;
    const open: typeof libc.open = (...args) => {
      if (isThere) return libc.open(...args);
      isThere = true;
      return -1;
    };
    const found = openOwnFile({ ...libc, open }, file.path);
    assertEquals(found?.bytes, 100);
    libc.close(found?.fd ?? -1);
  });

  (isRoot ? it : it.skip)("refuses another user's file", async () => {
    await using file = await setUp();
    await Deno.chown(file.path, 12_345, null);
    assertThrows(() => openOwnFile(libc, file.path), ForeignFileError, `${file.path} belongs to user 12345`);
  });
});

describe("createOwnFile", () => {
  it("makes a file of zeros for this user alone, and puts it at its path when it is told to", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/file`;
    const file = createOwnFile(libc, path, 5000);
    assertEquals(lengthOf(path), undefined);
    file.put();
    libc.close(file.fd);
    assertEquals(lengthOf(path), 5000);
    assert((await Deno.readFile(path)).every((byte) => byte === 0));
    assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o7777, 0o600);
    assertEquals((await Array.fromAsync(Deno.readDir(temp.path))).length, 1);
  });

  it("replaces an older file, which processes that have it open keep", async () => {
    await using file = await setUp();
    using old = await Deno.open(file.path, { read: true });
    const newer = createOwnFile(libc, file.path, 7);
    newer.put();
    libc.close(newer.fd);
    assertEquals([lengthOf(file.path), (await old.stat()).size], [7, 100]);
  });

  it("replaces a file that is not this user's, or a link, whose target it leaves alone", async () => {
    await using file = await setUp();
    const other = `${file.path}.other`;
    await Deno.writeTextFile(other, "what is in it");
    for (const link of [file.path, `${file.path}.new`]) {
      await Deno.remove(link).catch(() => {});
      await run("ln", "-s", other, link);
    }
    const created = createOwnFile(libc, file.path, 7);
    created.put();
    libc.close(created.fd);
    assertEquals([lengthOf(file.path), await Deno.readTextFile(other)], [7, "what is in it"]);
  });

  it("replaces a file that an earlier process has left at PATH.new", async () => {
    await using file = await setUp();
    await Deno.writeTextFile(`${file.path}.new`, "half of something else");
    const created = createOwnFile(libc, file.path, 7);
    created.put();
    libc.close(created.fd);
    assertEquals(lengthOf(file.path), 7);
  });

  it("throws with the reason if the file cannot be made", async () => {
    await using file = await setUp();
    assertThrows(
      () => createOwnFile(libc, `${file.path}/file`, 7),
      Error,
      `cannot make ${file.path}/file.new (probably: Not a directory)`,
    );
    await Deno.mkdir(`${file.path}.new`);
    assertThrows(
      () => createOwnFile(libc, file.path, 7),
      Error,
      `cannot make ${file.path}.new (probably: File exists)`,
    );
    assertThrows(() => createOwnFile(libc, `${file.path}.huge`, 2 ** 60), Error, "there is no room for 11529");
    await Deno.mkdir(`${file.path}.directory`);
    const created = createOwnFile(libc, `${file.path}.directory`, 7);
    assertThrows(() => created.put(), Error, "cannot put a file at ");
    libc.close(created.fd);
  });
});

describe("createUnnamedFile", () => {
  it("makes a file of zeros that has no path", () => {
    const file = createUnnamedFile(libc, 5000);
    file.put();
    const bytes = new Uint8Array(6000).fill(1);
    assertEquals(libc.read(file.fd, bytes, 6000n), 5000n);
    assertEquals(bytes.indexOf(1), 5000);
    libc.close(file.fd);
  });
});
