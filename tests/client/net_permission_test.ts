import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";

const PROGRAM = new URL("without_network.ts", import.meta.url).pathname;

describe("A program without the permission for the network", () => {
  it("gets an error that it can catch, from a socket of node:dgram and for a name", async () => {
    const args = ["run", "--quiet", "--no-prompt", "--deny-net", PROGRAM];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    const missing = (host: string) => `Requires net access to "${host}", run again with the --allow-net flag`;
    assertEquals(
      new TextDecoder().decode(stdout).trim().split("\n"),
      ["0.0.0.0:0", "[::]:0", "localhost"].map(missing),
    );
    assertEquals(code, 0);
  });
});
