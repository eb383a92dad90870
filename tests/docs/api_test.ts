import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { describeApi } from "./api.ts";

describe("the API", () => {
  it("has the names that api.txt lists: a change is for CHANGELOG.md and docs/versions.md, then see api.ts", async () => {
    assertEquals(await describeApi(), await Deno.readTextFile(new URL("api.txt", import.meta.url)));
  });
});
