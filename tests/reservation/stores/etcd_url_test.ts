import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StoreError } from "../../../mod.ts";
import { readEtcdFiles } from "../../../lib/reservation/stores/_etcd_files.ts";
import { parseEtcdUrl } from "../../../lib/reservation/stores/_etcd_url.ts";
import { EtcdReservationStore } from "../../../lib/reservation/stores/etcd_store.ts";
import { TempDir } from "../../../testing/temp_dir.ts";

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n";

describe("the URL of an etcd store", () => {
  it("names members, a prefix and files", () => {
    assertEquals(parseEtcdUrl("etcd://a"), { endpoints: ["http://a:2379"], prefix: undefined, files: {} });
    assertEquals(parseEtcdUrl("etcd://a/"), parseEtcdUrl("etcd://a"));
    assertEquals(parseEtcdUrl("etcds://a:1,[::1]:80,[::1]/x/y?credentials=/a%20b&ca=c&cert=d&key=e"), {
      endpoints: ["https://a:1", "https://[::1]:80", "https://[::1]:2379"],
      prefix: "x/y",
      files: { credentials: "/a b", ca: "c", cert: "d", key: "e" },
    });
  });

  for (const url of ["", "etcd://", "etcd:///x", "http://a", "etcd://a#b", "etcd:a", "etcd://a?what=b"]) {
    it(`is not ${JSON.stringify(url)}, and the error tells its form`, () => {
      assertThrows(() => parseEtcdUrl(url), SyntaxError, "etcd://HOST:PORT,HOST:PORT/PREFIX, or etcds://… with TLS");
    });
  }

  it("has no password, and the error does not show it", () => {
    const error = assertThrows(() => parseEtcdUrl("etcd://u:secret@a"), SyntaxError, "?credentials=FILE");
    assert(!error.message.includes("secret"));
  });

  it("has a certificate and its key, or neither", () => {
    assertThrows(() => parseEtcdUrl("etcds://a?cert=x"), SyntaxError, "must name both cert and key");
  });

  for (const host of ["a b", ",", "a:b", "a,", "a:99999"]) {
    it(`has no host ${JSON.stringify(host)}`, async () => {
      await assertRejects(
        () => EtcdReservationStore.fromUrl(`etcd://${host}`),
        SyntaxError,
        "an endpoint of etcd is http",
      );
    });
  }
});

describe("the files of an etcd store", () => {
  async function withFile(text: string, mode: number, test: (path: string) => Promise<void>) {
    await using temp = await TempDir.make();
    const path = `${temp.path}/file`;
    await Deno.writeTextFile(path, text);
    await Deno.chmod(path, mode);
    await test(path);
  }

  it("have a user and a password, which may have colons", async () => {
    for (const text of ["u:p:q", "u:p:q\n", "u:p:q\r\n"]) {
      await withFile(text, 0o640, async (credentials) => {
        assertEquals(await readEtcdFiles({ credentials }), { credentials: { user: "u", password: "p:q" } });
      });
    }
  });

  for (const text of ["", "u", ":p", "u:", "u:p\nv:q\n"]) {
    it(`have no credentials in ${JSON.stringify(text)}`, async () => {
      await withFile(text, 0o600, async (credentials) => {
        await assertRejects(() => readEtcdFiles({ credentials }), StoreError, "must hold one line, USER:PASSWORD");
      });
    });
  }

  it("are refused where others have access to a password or a key", async () => {
    await withFile("u:p", 0o604, async (credentials) => {
      await assertRejects(
        () => readEtcdFiles({ credentials }),
        StoreError,
        `(its mode is 604): chmod o= ${credentials}`,
      );
    });
    await withFile(CERTIFICATE, 0o644, async (file) => {
      assertEquals(await readEtcdFiles({ ca: file }), { tls: { caCerts: [CERTIFICATE] } });
      await assertRejects(() => readEtcdFiles({ cert: file, key: file }), StoreError, "(its mode is 644)");
    });
    await withFile(CERTIFICATE, 0o600, async (file) => {
      const tls = { caCerts: [], cert: CERTIFICATE, key: CERTIFICATE };
      assertEquals(await readEtcdFiles({ cert: file, key: file }), { tls });
    });
  });

  it("are named when they cannot be read or hold no certificate", async () => {
    await assertRejects(() => readEtcdFiles({ ca: "/nowhere/ca" }), StoreError, "cannot read /nowhere/ca: ");
    await withFile("nonsense", 0o600, async (ca) => {
      await assertRejects(() => readEtcdFiles({ ca }), StoreError, `${ca} must hold certificates in the PEM format`);
    });
  });
});
