import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

/** Every package that is imported, with its version. */
function imported(): Set<string> {
  const configs = ["deno.json", "bench/deno.json", "tests/deploy/validator/deno.json"].map((path) =>
    JSON.parse(read(path))
  );
  const specifiers = configs.flatMap(({ imports }) => Object.values<string>(imports));
  const inLinks = [...Deno.readDirSync(new URL("links/", ROOT))].filter(({ isDirectory }) => isDirectory)
    .flatMap(({ name }) => [...Deno.readDirSync(new URL(`links/${name}/`, ROOT))].map((file) => `${name}/${file.name}`))
    .flatMap((path) => [...read(`links/${path}`).matchAll(/npm:[^/"@]+@[^/"]+/g)].map(([specifier]) => specifier));
  return new Set([...specifiers, ...inLinks].map((specifier) => specifier.replace(/^(npm|jsr):/, "")));
}

describe("the table of dependencies in CONTRIBUTING.md", () => {
  it("has every package with its version, and no other", () => {
    const rows = [...read("CONTRIBUTING.md").matchAll(/^\| `(@?[a-z0-9/.-]+)` +\| (\d+\.\d+\.\d+) +\|/gm)];
    const table = rows.map(([, name, version]) => `${name}@${version}`);
    assert(table.length > 10);
    assertEquals(table.toSorted(), [...imported()].toSorted());
  });
});
