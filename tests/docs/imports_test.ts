import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";

const ROOT = new URL("../../", import.meta.url);

/** The floors of ARCHITECTURE.md, from the highest to the lowest, each with its folders of `lib/`. */
const FLOORS = readFloors(Deno.readTextFileSync(new URL("ARCHITECTURE.md", ROOT)));

function readFloors(architecture: string): string[][] {
  const [, block = ""] = /^## Folders\n[^]*?((?: {4}.+\n)+)/m.exec(architecture) ?? [];
  return block.trim().split("\n").map((line) => line.trim().split(/\s+/));
}

/** An import of one file of `lib/` by another, of another folder. */
interface Import {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly imported: string;
}

function* sourceFiles(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isDirectory) yield* sourceFiles(`${folder}${name}/`);
    else if (name.endsWith(".ts")) yield folder + name;
  }
}

function importsAcross(): Import[] {
  return [...sourceFiles("lib/")].flatMap((file) => {
    const specifiers = Deno.readTextFileSync(new URL(file, ROOT)).matchAll(
      /^(?:import|export|\}).*? from "(\.[^"]+)"/gm,
    );
    return [...specifiers].map(([, specifier]) => {
      const imported = new URL(specifier, new URL(file, ROOT)).href.slice(ROOT.href.length);
      return { file, from: folderOf(file), to: folderOf(imported), imported };
    }).filter(({ from, to, imported }) => from !== to && imported.startsWith("lib/"));
  });
}

function folderOf(path: string): string {
  return path.split("/")[1];
}

function floorOf(folder: string): number {
  const floor = FLOORS.findIndex((folders) => folders.includes(folder));
  assert(floor >= 0, `ARCHITECTURE.md has no floor for lib/${folder}/`);
  return floor;
}

describe("the imports between the folders of lib/", () => {
  it("only point down the floors of ARCHITECTURE.md", () => {
    const imports = importsAcross();
    assert(imports.length > 50);
    assertEquals(imports.filter(({ from, to }) => floorOf(from) >= floorOf(to)), []);
  });
});
