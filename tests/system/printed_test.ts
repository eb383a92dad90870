import { assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { encodeReservation } from "../../lib/reservation/reservation.ts";
import { runDeno } from "../../testing/deno_process.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";

/** Clears the screen, begins a line of its own, and turns the direction of what follows. */
const INJECTED = "\x1b[2J\nglobal-id: all is well \u202e";
const ESCAPED = /\\x1b\[2J\\nglobal-id: all is well \\u202e/;

/** A line of a program, and nothing that a terminal would obey. */
const ONE_LINE = /^global-id: [^\p{Cc}\u202e]*\n$/u;

describe("what the programs print", () => {
  for (const program of ["server.ts", "id_command.ts"]) {
    it(`obeys nobody's terminal when a path is told to ${program} that would`, async () => {
      const { code, stdout, stderr } = await runDeno({
        deno: ["run", "--quiet", "--no-prompt", `-P=${program === "server.ts" ? "serve" : "id"}`],
        program,
        args: ["--key-file", `/nowhere/${INJECTED}`],
      });
      assertEquals(stdout, "");
      assertMatch(stderr, ONE_LINE);
      assertMatch(stderr, ESCAPED);
      assertNotMatch(String(code), /^0$/);
    });
  }

  it("does not when the store has it on record", async () => {
    await using state = await TempDir.make();
    await (await ServerProcess.start({ state, flags: ["--workers", "1"] })).stop();
    const record = encodeReservation({ mark: 7, beat: 1, holder: "", layout: INJECTED, info: {} });
    {
      using database = new DatabaseSync(`${state.path}/reservations.sqlite`);
      database.prepare("UPDATE reservation SET record = ?").run(record);
    }
    const server = await ServerProcess.spawn({ state, flags: ["--workers", "1"] });
    assertEquals((await server.ended()).code, 1);
    assertMatch(server.printed, ONE_LINE);
    assertMatch(server.printed, ESCAPED);
    for (const flags of [[], ["--json"]]) {
      const { code, stdout } = await runDeno({
        deno: ["run", "--quiet", "--no-prompt", "-P=nodes"],
        program: "nodes_command.ts",
        args: ["--state", state.path, ...flags],
      });
      assertEquals(code, 0);
      assertMatch(stdout, flags.length > 0 ? /^[ -~]*\n$/ : /^([^\p{Cc}\u202e]*\n){3}$/u);
      assertMatch(stdout, flags.length > 0 ? /\\u001b\[2J\\nglobal-id/ : ESCAPED);
    }
  });
});
