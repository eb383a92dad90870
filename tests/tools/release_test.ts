import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkPinned, ReleaseError, withoutLinks, withRelease, withVersion } from "../../tools/release.ts";

const CHANGELOG = `# Changelog

## Unreleased

### Added

- An option.

## 0.1.0 - 2026-01-02

- The beginning.
`;

describe("withRelease", () => {
  it("dates what is unreleased, and leaves an empty section before it", () => {
    assertEquals(
      withRelease(CHANGELOG, "0.2.0", "2026-03-04"),
      CHANGELOG.replace("## Unreleased\n", "## Unreleased\n\n## 0.2.0 - 2026-03-04\n"),
    );
  });

  it("refuses a changelog with nothing that is unreleased, and a version that was released before", () => {
    const released = withRelease(CHANGELOG, "0.2.0", "2026-03-04");
    assertThrows(() => withRelease(released, "0.3.0", "2026-03-05"), ReleaseError, "nothing that is unreleased");
    assertThrows(() => withRelease(CHANGELOG, "0.1.0", "2026-03-04"), ReleaseError, "0.1.0 already");
    assertThrows(() => withRelease("# Changelog\n", "0.1.0", "2026-03-04"), ReleaseError, "no section");
  });

  it("takes the changelog as it is", async () => {
    const changelog = await Deno.readTextFile(new URL("../../CHANGELOG.md", import.meta.url));
    assertEquals(changelog.split("\n## Unreleased\n").length, 2);
  });
});

describe("withVersion", () => {
  it("changes the version, and nothing else", () => {
    assertEquals(
      withVersion('{ "name": "x", "version": "0.9.1" }', "0.10.0"),
      '{ "name": "x", "version": "0.10.0" }',
    );
  });

  it("takes the current version, for the first release, and none that is lower", () => {
    const config = '{ "version": "0.9.1" }';
    assertEquals(withVersion(config, "0.9.1"), config);
    for (const version of ["0.9.0", "0.8.2"]) {
      assertThrows(() => withVersion(config, version), ReleaseError, "must not be lower than the current one, 0.9.1");
    }
  });

  it("refuses what is no version", () => {
    for (const version of ["", "1", "v1.0.0", "1.0.0-rc.1", "1.0"]) {
      assertThrows(() => withVersion('{ "version": "0.9.1" }', version), ReleaseError, "three numbers");
    }
  });
});

describe("withoutLinks", () => {
  it("takes links/ out of what is published, and with it the frozen lock, and nothing else", async () => {
    const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
    const { links, lock, publish, ...rest } = JSON.parse(config);
    assertEquals([links.length, lock, publish.include.includes("links")], [3, { frozen: true }, true]);
    const include = publish.include.filter((path: string) => path !== "links");
    assertEquals(JSON.parse(withoutLinks(config)), { ...rest, publish: { ...publish, include } });
  });
});

describe("checkPinned", () => {
  it("takes the imports as they are", async () => {
    for (const path of ["../../deno.json", "../../bench/deno.json"]) {
      checkPinned(await Deno.readTextFile(new URL(path, import.meta.url)));
    }
  });

  it("refuses an import that may be of several versions", () => {
    for (const specifier of ["jsr:@std/cli@^1.0.24", "npm:ulid", "npm:ulid@3", "npm:@a/b@~1.2.3", "https://x.y/z.ts"]) {
      const config = JSON.stringify({ imports: { a: "npm:a@1.2.3", b: specifier } });
      assertThrows(() => checkPinned(config), ReleaseError, `such as 1.2.3: ${specifier}`);
    }
  });
});
