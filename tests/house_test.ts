/** The rules of the house that neither the compiler nor the linter knows: see ARCHITECTURE.md. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";

const ROOT = new URL("../", import.meta.url);

const MAX_COLUMNS = 120;

/** The floors of lib/ as ARCHITECTURE.md draws them, from the ground up. A folder imports from lower floors only. */
const FLOORS = floorsIn(read("ARCHITECTURE.md"));

/** Every file with one of these endings, as a path from the root. */
function filesWith(ending: string, folder = ""): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) => {
    if (name.startsWith(".") || name === "node_modules") return [];
    if (isDirectory) return filesWith(ending, `${folder}${name}/`);
    return name.endsWith(ending) ? [folder + name] : [];
  });
}

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** The floors that are drawn under the heading "Folders", the highest of them first. */
function floorsIn(architecture: string): string[][] {
  const [, drawing = ""] = /^## Folders\n[^]*?((?: {4}.+\n)+)/m.exec(architecture) ?? [];
  return drawing.trim().split("\n").map((floor) => floor.trim().split(/\s+/)).reverse();
}

const sources = new Map(filesWith(".ts").map((path) => [path, read(path)]));
const documents = new Map(filesWith(".md").map((path) => [path, read(path)]));

/** What each source imports from the project, types included, as paths from the root. */
const imports = new Map([...sources].map(([path, text]) => {
  const specifiers = text.matchAll(/(?:\bfrom |^import |\bimport\()"(\.[^"]+\.ts)"/gm);
  return [path, [...specifiers].map(([, specifier]) => resolve(path, specifier))];
}));

/** The path from the root that a relative one in a file means. */
function resolve(from: string, relative: string): string {
  return new URL(relative, new URL(from, ROOT)).href.slice(ROOT.href.length);
}

/** The folder that a file is in, from the root. */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

/** The floor of a file of lib/; the entry points are above them all. */
function floorOf(path: string): number {
  const floor = FLOORS.findIndex((folders) => folders.includes(path.split("/")[1]));
  return path.startsWith("lib/") ? floor : FLOORS.length;
}

/** Every pair of a file and an import of it that is wrong. */
function importsThat(isWrong: (from: string, to: string) => boolean): string[] {
  return [...imports].flatMap(([from, all]) =>
    all.filter((to) => isWrong(from, to)).map((to) => `${from} imports ${to}`)
  );
}

/** Fails if there are complaints, and shows all of them. */
function assertNone(complaints: string[]): void {
  assertEquals(complaints, []);
}

describe("the house", () => {
  it("has a floor for every folder of lib/", () => {
    assertNone([...sources.keys()].filter((path) => path.startsWith("lib/") && floorOf(path) < 0));
  });

  it("imports downwards only", () => {
    const isWrong = (from: string, to: string) =>
      from.startsWith("lib/") && folderOf(from) !== folderOf(to) && floorOf(from) <= floorOf(to) &&
      !to.startsWith(`lib/${from.split("/")[1]}/`);
    assertNone(importsThat(isWrong));
  });

  it("imports in no circle", () => {
    assertNone([...sources.keys()].flatMap((path) => circleFrom(path, [])));
  });

  it("keeps files that begin with _ to their folder and its tests", () => {
    const isWrong = (from: string, to: string) =>
      /\/_[^/]*$/.test(to) && ![folderOf(to), folderOf(to).replace(/^lib\//, "tests/")].includes(folderOf(from));
    assertNone(importsThat(isWrong));
  });

  it("keeps tests and benchmarks apart, and what is published free of both", () => {
    const allowed: Record<string, string[]> = {
      lib: ["lib"],
      testing: ["testing", "lib", "."],
      tests: ["tests", "testing", "tools", "lib", "."],
      bench: ["bench", "testing", "lib", "."],
    };
    const top = (path: string) => path.includes("/") ? path.split("/")[0] : ".";
    assertNone(importsThat((from, to) => !(allowed[top(from)] ?? ["lib", "."]).includes(top(to))));
  });

  it(`has no line of more than ${MAX_COLUMNS} columns that can be broken`, () => {
    const isTooLong = (line: string) =>
      [...line].length > MAX_COLUMNS && (isComment(line) ? !/https?:/.test(line) : !/["'`]|\/.*\//.test(line));
    assertNone(
      [...sources].flatMap(([path, text]) =>
        text.split("\n").flatMap((line, i) => isTooLong(line) ? [`${path}:${i + 1}`] : [])
      ),
    );
  });

  it("has no dead link in its documents", () => {
    assertNone(
      [...documents].flatMap(([path, text]) =>
        linksOf(text).filter((link) => !leadsSomewhere(path, link)).map((link) => `${path}: ${link}`)
      ),
    );
  });
});

/** The circle that a file is in, if it is the first of it by name. */
function circleFrom(path: string, way: string[]): string[] {
  const [first = path] = way;
  if (way.length > 0 && path === first) return [way.join(" > ")];
  if (way.includes(path) || path < first) return [];
  return (imports.get(path) ?? []).flatMap((next) => circleFrom(next, [...way, path])).slice(0, 1);
}

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/?\*)/.test(line);
}

/** The relative links of a document, outside of code. */
function linksOf(text: string): string[] {
  const prose = text.replaceAll(/^```.*?^```/gms, "").replaceAll(/`[^`\n]*`/g, "code");
  return [...prose.matchAll(/\]\(([^)\s]+)[^)]*\)/g)].map(([, link]) => link).filter((link) => !/^[a-z]+:/.test(link));
}

/** Whether a link leads to a file or a folder, and if it names a heading, to one of that name. */
function leadsSomewhere(from: string, link: string): boolean {
  const [file, heading] = link.split("#");
  const path = file === "" ? from : resolve(from, file);
  if (heading !== undefined) return headingsOf(documents.get(decodeURI(path)) ?? "").includes(heading);
  try {
    Deno.statSync(new URL(path, ROOT));
    return true;
  } catch {
    return false;
  }
}

/** The names that a document's headings have in links. */
function headingsOf(text: string): string[] {
  return [...text.replaceAll(/^```.*?^```/gms, "").matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-")
  );
}
