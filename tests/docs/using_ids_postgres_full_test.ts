import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DEFAULT_LAYOUT, INSTAGRAM_LAYOUT } from "../../mod.ts";
import { TempDir } from "../../testing/temp_dir.ts";

const text = new TextDecoder();

async function sh(script: string, stdin = ""): Promise<string> {
  const child = new Deno.Command("sh", { args: ["-ec", script], stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  assertEquals(code, 0, text.decode(stdout) + text.decode(stderr));
  return text.decode(stdout) + text.decode(stderr);
}

const BIN = (await sh("ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true")).trim();
if (BIN === "") console.warn("PostgreSQL is not installed: what docs/using-ids.md says of it is not tested");

/** PostgreSQL refuses to run as root. */
const AS_USER = (await sh("id -u")).trim() === "0" ? "runuser -u postgres --" : "";

/** Runs a statement a line, without a server, and returns the values of all rows, in their order. */
async function query(directory: string, statements: string[]): Promise<string[]> {
  const output = await sh(`${AS_USER} ${BIN}/postgres --single -D ${directory}/data postgres`, statements.join("\n"));
  assertEquals(output.match(/^.*(ERROR|FATAL):.*$/m), null);
  return [...output.matchAll(/ = "([^"]*)"\t\(typeid/g)].map(([, value]) => value);
}

(BIN === "" ? describe.skip : describe)("docs/using-ids.md, about PostgreSQL", () => {
  it("finds the ids of a time by the key, and has ids with the top bit set below all others", async () => {
    await using temp = await TempDir.make();
    if (AS_USER !== "") await sh(`chown postgres ${temp.path}`);
    await sh(`${AS_USER} ${BIN}/initdb --pgdata=${temp.path}/data --no-locale --encoding=UTF8 --no-sync`);

    const noon = (day: number) => DEFAULT_LAYOUT.lowestIdAt(Date.UTC(2030, 4, day, 12));
    const from = DEFAULT_LAYOUT.lowestIdAt(new Date("2030-05-02T00:00:00Z"));
    const to = DEFAULT_LAYOUT.lowestIdAt(new Date("2030-05-03T00:00:00Z"));
    const late = INSTAGRAM_LAYOUT.lowestIdAt(Date.UTC(2047, 0, 1));
    const asSigned = BigInt.asIntN(64, late);
    assertMatch(`${asSigned}`, /^-/);
    const values = await query(temp.path, [
      "CREATE TABLE message (id bigint PRIMARY KEY, text text NOT NULL);",
      ...[1, 2, 3].map((day) => `INSERT INTO message VALUES (${noon(day)}, 'of May ${day}');`),
      `SELECT text FROM message WHERE id >= ${from} AND id < ${to} ORDER BY id;`,
      `INSERT INTO message VALUES (${asSigned}, 'of 2047');`,
      "SELECT text FROM message ORDER BY id LIMIT 1;",
      "SELECT id FROM message WHERE text = 'of 2047';",
    ]);
    assertEquals(values, ["of May 2", "of 2047", `${asSigned}`]);
    assertEquals(BigInt.asUintN(64, BigInt(values[2])), late);
  });
});
