import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";

const TWO_WORKERS = ["--workers", "2", "--layout", "wide"];

describe("a server that cannot serve", () => {
  /** Starts a server that is to fail, and returns what it says, which must be one line. */
  async function refusal(options: Parameters<typeof ServerProcess.spawn>[0], expectedCode = 1): Promise<string> {
    await using server = await ServerProcess.spawn(options);
    assertEquals((await server.ended()).code, expectedCode);
    const lines = server.printed.trim().split("\n").filter((line) => !line.includes("Permissions in the config file"));
    assertEquals(lines.length, 1, server.printed);
    return lines[0];
  }

  it("refuses a node that is being served, and names the process", async () => {
    await using server = await ServerProcess.start({ flags: TWO_WORKERS });
    assertEquals(
      await refusal({ state: server.state }),
      `global-id: node 0 is being served already, by process ${server.pid}: stop that one, replace it with --replace, ` +
        "or choose another --node-id",
    );
    await using _another = await ServerProcess.start({ state: server.state, flags: ["--node-id", "1"] });
  });

  it("refuses a port that is taken, also by sockets that share theirs", async () => {
    await using server = await ServerProcess.start({ flags: TWO_WORKERS });
    const [port] = server.ports;
    const message = `udp port ${port} of 127.0.0.1 is taken: stop what has it, or choose another --port`;
    assertEquals(await refusal({ port, flags: ["--node-id", "1"] }), `global-id: ${message}`);
    assertEquals(
      await refusal({ port, flags: ["--node-id", "1", "--backend", "listen-datagram", "--workers", "1"] }),
      `global-id: worker 0 could not start: ${message}`,
    );
  });

  const refused: [string, Parameters<typeof ServerProcess.spawn>[0], RegExp, number?][] = [
    [
      "FFI that is refused",
      { flags: ["--backend", "reuseport"], deno: ["-P=serve", "--deny-ffi"] },
      /backend reuseport needs the permission --allow-ffi: grant it, or take --backend listen-datagram/,
    ],
    [
      "a missing permission to run",
      { deno: ["--allow-net", "--unstable-net"] },
      /the permission --allow-run=taskset,deno is missing/,
    ],
    [
      "a missing permission for the network",
      { deno: ["-P=serve", "--deny-net"], port: 9 },
      /the permission --allow-net=127.0.0.1:9 is missing/,
    ],
    [
      "an address that is not this machine's",
      { flags: ["--host", "192.0.2.1"], port: 9 },
      /192.0.2.1 is not an address of this machine: see --host/,
    ],
    [
      "ports that go past the last",
      { flags: ["--backend", "listen-datagram", "--workers", "3"], port: 65_534 },
      /3 workers from port 65534 on would go past port 65535/,
    ],
    [
      "a store that is not there",
      { flags: ["--store", "etcd://127.0.0.1:2/x"] },
      /^global-id: etcd at http:\/\/127\.0\.0\.1:2 did not answer .*without \(etcd:\/\/\)$/,
    ],
    [
      "a wrong flag",
      { flags: ["--node-id", "x"] },
      /--node-id must be an integer from 0 to 1023, auto or ordinal: got "x"/,
      2,
    ],
  ];
  for (const [what, options, message, code] of refused) {
    it(`says in one line what is wrong: ${what}`, async () => {
      assertMatch(await refusal(options, code), message);
    });
  }

  it("says in one line what is wrong: a state directory that cannot be used", async () => {
    await using state = await TempDir.make();
    await Deno.writeTextFile(`${state.path}/file`, "");
    const server = await ServerProcess.spawn({ state, flags: ["--state", `${state.path}/file`] });
    assertNotEquals((await server.ended()).code, 0);
    assertMatch(server.printed, /global-id: the state directory .*file cannot be used: /);
  });
});
