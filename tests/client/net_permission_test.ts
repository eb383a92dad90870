import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";

const PROGRAM = new URL("without_network.ts", import.meta.url).pathname;

describe("A program without the permission for the network", () => {
  for (
    const [what, flag, hosts] of [
      ["any", "--deny-net", ["0.0.0.0:0", "[::]:0", "localhost", "0.0.0.0:0"]],
      ["the server", "--allow-net=0.0.0.0:0,[::]:0", ["127.0.0.1:9", "[::1]:9", "localhost", "127.0.0.1:9999"]],
    ] as const
  ) {
    it(`gets an error that it can catch, where it may not send to ${what}`, async () => {
      const args = ["run", "--quiet", "--no-prompt", flag, PROGRAM];
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
      assertEquals(new TextDecoder().decode(stderr), "");
      const missing = (host: string) => `Requires net access to "${host}", run again with the --allow-net flag`;
      assertEquals(new TextDecoder().decode(stdout).trim().split("\n"), hosts.map(missing));
      assertEquals(code, 0);
    });
  }
});
