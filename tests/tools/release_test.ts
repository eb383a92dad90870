import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ReleaseError, withoutLinks, withRelease, withVersion } from "../../tools/release.ts";

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
  it("takes links/ out of what is published, and nothing else", async () => {
    const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
    const before = JSON.parse(config);
    const after = JSON.parse(withoutLinks(config));
    assertEquals(after.publish.include, before.publish.include.filter((path: string) => path !== "links"));
    assertEquals({ ...after, publish: before.publish }, before);
  });

  it("fails if links/ is not there", () => {
    assertThrows(() => withoutLinks('{ "publish": { "include": ["lib"] } }'), ReleaseError, "does not publish");
  });
});
