import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { allowedCpus } from "../../lib/placement/cpus.ts";
import type { Backend } from "../../lib/server/serve_options.ts";
import { DEFAULT_LAYOUT, WIDE_LAYOUT } from "../../mod.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until, within } from "../../testing/within.ts";
import { Load, LOAD_PROCESS, ReceivedIds } from "./load.ts";
import { cpuTicks, killIfAlive, ServerProcess } from "../../testing/server_process.ts";

const TWO_WORKERS = ["--workers", "2", "--layout", "wide"];

/** Which of two workers an id of the wide layout is from, if each has a subnode. */
const workerOf = (id: bigint) => WIDE_LAYOUT.unpack(id).sequence % 2;

describe("a server with two workers", () => {
  it("gives 500,000 ids to 8 sockets at once, none twice, from both workers", async () => {
    await using server = await ServerProcess.start({ flags: [...TWO_WORKERS, "--node-id", "77"] });
    const beganMs = Date.now();
    const ids = new ReceivedIds();
    const enough = ids.more(500_000);
    await using load = await Load.start(ids, server.ports, 4);
    await Promise.all([enough, server.allWorkersWork()]);
    await load.stop();
    ids.assertUnique();
    for (const id of ids.all) {
      assertEquals(WIDE_LAYOUT.unpack(id).nodeId, 77);
      const timeMs = WIDE_LAYOUT.timestampOf(id).getTime();
      assert(timeMs > beganMs - 1000 && timeMs <= Date.now(), `an id of ${new Date(timeMs)}`);
    }
    assertEquals(server.printed.match(/died/), null);
  });

  it("goes on when a worker is killed under load, and starts it again", async () => {
    await using server = await ServerProcess.start({ flags: TWO_WORKERS });
    const ids = new ReceivedIds();
    await using load = await Load.start(ids, server.ports, 4);
    await Promise.all([ids.more(4000), server.allWorkersWork()]);
    for (let round = 0; round < 3; round++) {
      const before = await server.workerPids();
      assertEquals(before.length, 2);
      const victim = before[round % 2];
      const onlyOne = ids.more(1000);
      Deno.kill(victim, "SIGKILL");
      await onlyOne; // the other one goes on meanwhile
      await server.says(new RegExp(`worker . \\(process ${victim}\\) died: SIGKILL; starting it again in [0-9]+ ms`));
      await until("two workers", async () => (await server.workerPids()).length === 2);
      await Promise.all([ids.more(4000), server.allWorkersWork()]);
    }
    await load.stop();
    ids.assertUnique();
  });

  it("leaves no worker behind when it is killed itself, and the next one gives no id twice", async () => {
    const ids = new ReceivedIds();
    await using state = await TempDir.make();
    let port = 0;
    await using end = new AsyncDisposableStack();
    let load: Load | undefined;
    for (let round = 0; round < 4; round++) {
      // Started at once after the kill: workers of the one before may still be answering.
      const server = end.use(await ServerProcess.start({ flags: TWO_WORKERS, state, port }));
      port = server.ports[0];
      load ??= end.use(await Load.start(ids, [port], 4));
      await ids.more(20_000);
      server.kill("SIGKILL");
      await server.ended();
      if (round === 3) await server.workersEnded();
    }
    await load!.stop();
    ids.assertUnique();
  });

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it(`stops at ${signal}, under load, with exit code 0, and leaves no worker behind`, async () => {
      await using server = await ServerProcess.start({ flags: TWO_WORKERS });
      const ids = new ReceivedIds();
      const enough = ids.more(1000);
      await using load = await Load.start(ids, server.ports, 2);
      await enough;
      server.kill(signal);
      assertEquals((await server.ended()).code, 0);
      assertEquals(await server.workerPids(), []);
      await load.stop();
    });
  }

  it("gives up on a worker that dies again and again, and says why", async () => {
    await using server = await ServerProcess.start({ flags: TWO_WORKERS });
    const [survivor] = await server.workerPids();
    const killing = setInterval(async () => {
      for (const pid of await server.workerPids()) if (pid !== survivor) killIfAlive(pid);
    }, 20);
    const { code } = await server.ended();
    clearInterval(killing);
    assertEquals(code, 1);
    assertMatch(
      server.printed,
      /worker . \(process [0-9]+\) died, as it did 5 times in the last 60 s: SIGKILL; not starting it again/,
    );
    assertEquals(await server.workerPids(), []);
  });
});

/** Starts a server, and asks it for ids at intervals, for twice as long as ticks are reserved ahead where restarts are not free. */
async function hasIdsWhenAsked(backend: Backend, pauseMs: number): Promise<void> {
  await using server = await ServerProcess.start({ flags: ["--workers", "1", "--backend", backend] });
  const address: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: server.ports[0] };
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  using _closing = { [Symbol.dispose]: () => socket.close() };
  /** The tick of an id, or `undefined` if there was none to be had. */
  const ask = async () => {
    await socket.send(Uint8Array.of(0), address);
    const [reply] = await within("it answers", socket.receive());
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (reply[0] !== 0) return undefined;
    return DEFAULT_LAYOUT.unpack(new DataView(reply.buffer, reply.byteOffset).getBigUint64(1)).tick;
  };
  let first: number | undefined;
  await until("it has ids", async () => (first = await ask()) !== undefined);
  for (let tick = first!; tick < first! + 8;) {
    const next = await ask();
    assert(next !== undefined, `${backend}, asked every ${pauseMs} ms: no id in the second after ${tick - first!} s`);
    tick = next;
  }
}

describe("a server, its backends", () => {
  it("listen-datagram: a port for every worker, and a client that asks them all", async () => {
    await using server = await ServerProcess.start({ flags: [...TWO_WORKERS, "--backend", "listen-datagram"] });
    assertEquals(server.ports.length, 2);
    using client = new IdClient({ port: server.ports });
    const ids = new ReceivedIds();
    for (let i = 0; i < 200; i++) ids.add(await client.nextId());
    ids.assertUnique();
    assertEquals(new Set([...ids.all].map(workerOf)), new Set([0, 1]));
  });

  it("listen-datagram: answers clients of any address and port, on a port that was chosen for it", async () => {
    const probe = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const { port } = probe.addr as Deno.NetAddr;
    probe.close();
    await using server = await ServerProcess.start({
      flags: ["--workers", "1", "--backend", "listen-datagram", "--host", "0.0.0.0"],
      port,
    });
    for (const hostname of ["127.0.0.1", "127.0.0.2"]) {
      const conn = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
      await conn.send(Uint8Array.of(0), { transport: "udp", hostname: "127.0.0.1", port });
      await within("an answer", conn.receive());
      conn.close();
    }
    assertEquals(server.printed.match(/died/), null);
  });

  it("serves and is asked over IPv6", async () => {
    await using server = await ServerProcess.start({ flags: [...TWO_WORKERS, "--host", "::1"] });
    assertMatch(server.printed, /try it: deno task id --host ::1 --port [0-9]+\n/);
    using client = new IdClient({ hostname: "::1", port: server.ports[0] });
    const ids = await Promise.all(Array.from({ length: 200 }, () => client.nextId()));
    assertEquals(new Set(ids).size, 200);
  });

  it("serves without FFI where that is not permitted, and says so", async () => {
    await using server = await ServerProcess.start({ flags: TWO_WORKERS, deno: ["-P=serve", "--deny-ffi"] });
    assertMatch(server.printed, /without the permission --allow-ffi, every worker has a port of its own/);
    assertMatch(server.printed, /2 workers \(listen-datagram/);
    using client = new IdClient({ port: server.ports });
    assertEquals((await client.nextIds(5)).length, 5);
  });

  it("serves without taskset, and says so", async () => {
    const PATH = Deno.execPath().replace(/[^/]*$/, "");
    await using server = await ServerProcess.start({ flags: TWO_WORKERS, env: { PATH } });
    assertMatch(server.printed, /there is no taskset \(util-linux\) here: the workers are not pinned to CPUs/);
    assertMatch(server.printed, /2 workers \(reuseport, not pinned\)/);
    using client = new IdClient({ port: server.ports[0] });
    assertEquals((await client.nextIds(5)).length, 5);
  });

  it("has ids all the time when it is asked every 5 ms, every 60 ms, or every 150 ms", async () => {
    const pausesMs = [5, 60, 150];
    const backends: Backend[] = ["reuseport", "listen-datagram"];
    await Promise.all(backends.flatMap((backend) => pausesMs.map((pauseMs) => hasIdsWhenAsked(backend, pauseMs))));
  });

  it("keeps every socket answering while V8 collects often", async () => {
    // A memory that only the kernel knows of would soon be collected and used for something else.
    const env = { DENO_V8_FLAGS: "--gc-interval=500,--stress-compaction,--semi-space-growth-factor=2" };
    await using server = await ServerProcess.start({ flags: TWO_WORKERS, env });
    const ids = new ReceivedIds();
    for (let round = 0; round < 5; round++) {
      const enough = ids.more(10_000);
      await using load = await Load.start(ids, server.ports, 8);
      await Promise.all([enough, server.allWorkersWork()]);
      await load.stop();
    }
    ids.assertUnique();
    assertEquals(server.printed.match(/died/), null);
  });

  it("serves one worker per CPU that it may use, each pinned to its own", async () => {
    await using server = await ServerProcess.start();
    const workers = await server.workerPids();
    assertEquals(workers.length, navigator.hardwareConcurrency);
    const lists = await Promise.all(workers.map(async (pid) => {
      const { stdout } = await new Deno.Command("taskset", { args: ["-cp", String(pid)] }).output();
      return new TextDecoder().decode(stdout).trim().split(" ").at(-1)!;
    }));
    for (const list of lists) assertMatch(list, /^[0-9]+$/);
    assertEquals(new Set(lists).size, workers.length);
  });

  (navigator.hardwareConcurrency > 1 ? it : it.skip)(
    "uses an idle CPU too when all clients are on another",
    async () => {
      await using server = await ServerProcess.start({ flags: ["--workers", "2"] });
      const [cpu] = (await allowedCpus())!;
      const client = new Deno.Command("taskset", {
        args: [
          ...["--cpu-list", String(cpu), Deno.execPath(), "run", "--quiet", "--unstable-net", "--allow-net=127.0.0.1"],
          ...[LOAD_PROCESS, server.ports.join(","), "8"],
        ],
        stdin: "piped",
        stdout: "null",
      }).spawn();
      const [, other] = await server.workerPids();
      const before = await cpuTicks(other);
      try {
        await until("the worker on the other CPU has taken a second of it", async () => {
          // To look takes CPU time too: more often, it would leave no CPU idle.
          await new Promise((resolve) => setTimeout(resolve, 1000));
          return await cpuTicks(other) >= before + 100;
        });
      } finally {
        client.kill("SIGKILL");
        await client.status;
      }
    },
  );
});

describe("a server and a client", () => {
  it("wait together until there are ids again", async () => {
    await using server = await ServerProcess.start({ flags: ["--workers", "2", "--node-id", "5"] });
    using client = new IdClient({ port: server.ports[0], prefetch: 1000 });
    const received = new ReceivedIds();
    // More than the layout has in a tick.
    for (const id of await client.nextIds(150_000)) received.add(id);
    for (let i = 0; i < 3000; i++) received.add(await client.nextId());
    received.assertUnique();
    for (const id of received.all) assertEquals(DEFAULT_LAYOUT.unpack(id).nodeId, 5);
  });

  it("speak on the command line", async () => {
    await using server = await ServerProcess.start({ flags: ["--node-id", "5"] });
    const id = async (...args: string[]) => {
      const command = new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "-P=id", "id.ts", ...args],
        cwd: new URL("../../", import.meta.url),
        env: { NO_COLOR: "1" },
      });
      const { code, stdout, stderr } = await command.output();
      return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
    };
    const printed = await id("--port", String(server.ports[0]), "--count", "3", "--form", "base32");
    assertEquals(printed.code, 0);
    const lines = printed.out.trim().split("\n");
    assertEquals(lines.length, 3);
    const inspected = await id("--inspect", lines[2]);
    assertMatch(inspected.out, /node id +5 /);
    await server.stop();
    const refused = await id("--port", String(server.ports[0]));
    assertEquals(refused.code, 1);
    assertMatch(
      refused.err,
      /global-id: no response from 127.0.0.1:[0-9]+ to [0-9]+ requests: is a server running there, and does it let us in\?/,
    );
  });
});

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
    ["a wrong flag", { flags: ["--node-id", "x"] }, /--node-id must be an integer from 0 to 1023: got "x"/, 2],
  ];
  for (const [what, options, message, code] of refused) {
    it(`says in one line what is wrong: ${what}`, async () => {
      assertMatch(await refusal(options, code), message);
    });
  }

  it("says in one line what is wrong: a state directory that cannot be used", async () => {
    await using state = await TempDir.make();
    await Deno.writeTextFile(`${state.path}/file`, "");
    const server = new ServerProcess(state, false, { flags: ["--state", `${state.path}/file`] });
    assertNotEquals((await server.ended()).code, 0);
    assertMatch(server.printed, /global-id: the state directory .*file cannot be used: /);
  });
});
