import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StoreError } from "../../../mod.ts";
import { parsePostgresUrl } from "../../../lib/reservation/stores/_postgres_url.ts";
import { PostgresServersStore } from "../../../lib/reservation/stores/postgres_servers_store.ts";
import { TempDir } from "../../../testing/temp_dir.ts";

const PLAIN = { user: "u", password: undefined, isTls: false, table: undefined, files: {} };

describe("the URL of a PostgreSQL store", () => {
  it("names servers, a database, a user, a table and files", () => {
    const servers = [{ host: "a", port: 5432 }];
    assertEquals(parsePostgresUrl("postgres://u@a/db"), { servers, database: "db", ...PLAIN });
    assertEquals(parsePostgresUrl("postgresql://u@a/db"), parsePostgresUrl("postgres://u@a/db"));
    assertEquals(parsePostgresUrl("postgres://u%40x:p%3A@a:1,[::1]:80,[::1]/d%2Fb?table=s.t&sslmode=disable"), {
      servers: [{ host: "a", port: 1 }, { host: "::1", port: 80 }, { host: "::1", port: 5432 }],
      database: "d/b",
      ...PLAIN,
      user: "u@x",
      password: "p:",
      table: "s.t",
    });
    assertEquals(parsePostgresUrl("postgres://a/db?credentials=/a%20b&sslmode=verify-full&ca=c&cert=d&key=e"), {
      servers,
      database: "db",
      ...PLAIN,
      user: undefined,
      isTls: true,
      files: { credentials: "/a b", ca: "c", cert: "d", key: "e" },
    });
  });

  const urls = ["", "postgres://", "postgres://u@a", "postgres://u@/db", "http://u@a/db", "postgres:a"];
  for (const url of [...urls, "postgres://u@a/db#b", "postgres://u@a/db?what=b", "postgres://u@a/b/c"]) {
    it(`is not ${JSON.stringify(url)}, and the error tells its form`, () => {
      assertThrows(() => parsePostgresUrl(url), SyntaxError, "postgres://USER@HOST:PORT,HOST:PORT/DATABASE");
    });
  }

  for (const host of ["a b", ",", "a:b", "a,", "a:99999", "::1", "[::1"]) {
    it(`has no host ${JSON.stringify(host)}`, () => {
      assertThrows(() => parsePostgresUrl(`postgres://u@${host}/db`), SyntaxError, "is HOST or HOST:PORT");
    });
  }

  it("is refused in part where a part is wrong, and the error does not show the password", () => {
    const wrong: [url: string, message: string][] = [
      ["postgres://a/db", "must name a user, or a file with ?credentials=FILE"],
      ["postgres://:secret@a/db", "must name a user"],
      ["postgres://u:secret@a/db?sslmode=require", "is disable or verify-full"],
      ["postgres://u:secret@a/db?ca=x", "it needs sslmode=verify-full then"],
      ["postgres://u:secret@a/db?sslmode=verify-full&cert=x", "must name both cert and key"],
      ["postgres://u:secret%@a/db", "must begin an escape"],
      ["postgres://u:secret/x@a/db", "has the form"],
    ];
    for (const [url, message] of wrong) {
      const error = assertThrows(() => parsePostgresUrl(url), SyntaxError, message);
      assert(!error.message.includes("secret"), url);
    }
  });
});

describe("the credentials of a PostgreSQL store", () => {
  it("are of the URL or of a file, and not of both", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/credentials`;
    await Deno.writeTextFile(path, "u:p\n", { mode: 0o600 });
    for (const url of [`postgres://a/db?credentials=${path}`, `postgres://u@a/db?credentials=${path}`]) {
      using _ = await PostgresServersStore.fromUrl(url);
    }
    for (const login of ["u:p", "v"]) {
      await assertRejects(
        () => PostgresServersStore.fromUrl(`postgres://${login}@a/db?credentials=${path}`),
        StoreError,
        `${path} and the URL both name a user: leave one of them out`,
      );
    }
    await Deno.chmod(path, 0o604);
    await assertRejects(
      () => PostgresServersStore.fromUrl(`postgres://a/db?credentials=${path}`),
      StoreError,
      "(its mode is 604)",
    );
  });
});
