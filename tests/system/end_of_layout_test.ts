import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { LAYOUTS } from "../../mod.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { FakedClocks, LIBFAKETIME } from "./faked_clocks.ts";

const HALF_A_YEAR_S = 182 * 86_400;

describe("a server whose layout has half a year left", () => {
  it("says so at its start, and goes on", async () => {
    if (LIBFAKETIME === undefined) {
      return console.warn("end_of_layout_test: left out, since another year needs libfaketime (package faketime)");
    }
    await using temp = await TempDir.make();
    const clocks = await FakedClocks.make(temp, "both");
    const { epochMs, maxTick, tickMs } = LAYOUTS.number;
    const endMs = epochMs + (maxTick + 1) * tickMs;
    await clocks.step(Math.floor((endMs - Date.now()) / 1000) - HALF_A_YEAR_S);
    await using server = await ServerProcess.start({
      ...{ flags: ["--workers", "1", "--layout", "number"], state: temp, env: clocks.env },
      deno: ["-P=serve", "--allow-run"],
    });
    const warnings = server.printed.match(
      /the layout number has no ids from 2156-02-07T06:28:16.000Z on, in 18[12] days/g,
    );
    assertEquals(warnings?.length, 1, server.printed);
  });
});
