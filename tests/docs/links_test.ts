import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import denoJson from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);

/** The folders whose Markdown files are checked, with the root's. */
const FOLDERS = ["", "docs/", "links/", "bench/", "bench/results/", ".github/"];

/** A link in a Markdown file. */
interface Link {
  readonly file: string;
  /** What it leads to, from the root: a path, and a heading's anchor or `""`. */
  readonly path: string;
  readonly anchor: string;
}

function markdownFiles(): string[] {
  return FOLDERS.flatMap((folder) =>
    [...Deno.readDirSync(new URL(folder, ROOT))].filter(({ name }) => name.endsWith(".md")).map(({ name }) =>
      folder + name
    )
  );
}

/** The relative links and images of a file; code is left out. */
function linksIn(file: string): Link[] {
  const text = Deno.readTextFileSync(new URL(file, ROOT)).replaceAll(/^```[^]*?^```|^ {4}.*$|`[^`]*`/gm, "");
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target)).map((target) => {
    const { href, hash } = new URL(target, new URL(file, ROOT));
    return { file, path: href.slice(ROOT.href.length, href.length - hash.length), anchor: hash.slice(1) };
  });
}

function leadsSomewhere({ path, anchor }: Link): boolean {
  try {
    return Deno.statSync(new URL(path, ROOT)).isDirectory || anchor === "" || anchorsIn(path).includes(anchor);
  } catch {
    return false;
  }
}

/** The anchors of a file's headings, as public hosts make them. */
function anchorsIn(path: string): string[] {
  const headings = Deno.readTextFileSync(new URL(path, ROOT)).matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading]) => heading.toLowerCase().replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-"));
}

/** Whether a file goes to JSR: `deno.json` names it, its folder, or all files of the root with its ending. */
function isPublished(path: string): boolean {
  const ending = path.slice(path.lastIndexOf("."));
  return denoJson.publish.include.some((entry) =>
    entry === path || path.startsWith(`${entry}/`) || entry === `*${ending}` && !path.includes("/")
  );
}

describe("a relative link of a Markdown file", () => {
  for (const file of markdownFiles()) {
    it(`leads somewhere: ${file}`, () => {
      assertEquals(linksIn(file).filter((link) => !leadsSomewhere(link)), []);
    });
  }

  it("leads to what is published with the package, in the README, which JSR shows", () => {
    assertEquals(linksIn("README.md").filter(({ path }) => !isPublished(path)), []);
  });
});
