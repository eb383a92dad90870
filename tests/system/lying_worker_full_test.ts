import { assertLess, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ServeError } from "../../lib/server/serve_error.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { within } from "../../testing/within.ts";
import { Supervised } from "./supervised.ts";

describe("a worker that locks the pool's mutex in another's name, for ever", () => {
  it("holds the server up for some seconds, at its end too, and the next server does without that pool", async () => {
    await using temp = await TempDir.make();
    const before = performance.now();
    // It may end before it has said that it serves: it says so once it has ids, for which it needs the pool.
    const server = Supervised.spawn(temp, { when: "ready", spoil: "mutex" }, { backend: "reuseport" });
    await assertRejects(() => within("it ends", server.ended), ServeError, "the pool cannot be locked");
    await using next = await Supervised.start(temp, { when: "never" }, { backend: "reuseport" });
    assertMatch(next.lines.join("\n"), /ids begin where the last reservation ends: the pool /);
    assertLess(performance.now() - before, 60_000);
  });
});
