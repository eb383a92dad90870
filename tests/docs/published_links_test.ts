import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import denoJson from "../../deno.json" with { type: "json" };

const README = Deno.readTextFileSync(new URL("../../README.md", import.meta.url));

/** Whether a file goes to JSR: `deno.json` names it, its folder, or all files of the root with its ending. */
function isPublished(path: string): boolean {
  const ending = path.slice(path.lastIndexOf("."));
  return denoJson.publish.include.some((entry) =>
    entry === path || path.startsWith(`${entry}/`) || entry === `*${ending}` && !path.includes("/")
  );
}

describe("a relative link of the README", () => {
  it("leads to a file that is published, since JSR shows the README with those", () => {
    const targets = [...README.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target]) => target);
    assert(targets.length > 5);
    assertEquals(targets.filter((target) => !isPublished(target)), []);
  });
});
