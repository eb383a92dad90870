import { assertMatch } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { writeRangeRequest } from "../../lib/wire/request.ts";
import { readRangeResponse } from "../../lib/wire/response.ts";
import { RANGE_BYTES } from "../../lib/wire/protocol.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";
import { itSideBySide, type TestCase } from "../side_by_side.ts";
import { FakedClocks, LIBFAKETIME, type Stepped } from "./faked_clocks.ts";
import { ReceivedIds } from "./load.ts";
import { ServerProcess } from "../../testing/server_process.ts";

/** Asks a server for ranges for a while, and keeps every id; returns how many there were. */
async function ask(port: number, ids: ReceivedIds, forMs = 300): Promise<number> {
  const conn = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const server: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port };
  const request = new Uint8Array(RANGE_BYTES);
  const endMs = performance.now() + forMs;
  let isOpen = true;
  let granted = 0;
  const receiving = (async () => {
    while (isOpen) {
      const [data] = await conn.receive();
      const range = readRangeResponse(new DataView(data.buffer, data.byteOffset), data.length);
      if (range === undefined) continue;
      for (let i = 0, id = range.first; i < range.granted; i++, id += range.step) ids.add(id);
      granted += range.granted;
    }
  })().catch(() => {});
  for (let tag = 0; performance.now() < endMs; tag++) {
    writeRangeRequest(new DataView(request.buffer), 50, 0, tag);
    await conn.send(request, server);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  isOpen = false;
  conn.close();
  await receiving;
  return granted;
}

/** Steps the clocks of a server's processes, and kills it and starts the next one after each step. */
async function stepAndRestart(who: Stepped, policy: "refuse" | "logical"): Promise<void> {
  await using temp = await TempDir.make();
  const clocks = await FakedClocks.make(temp, who);
  const ids = new ReceivedIds();
  const options = { flags: ["--workers", "2", "--clock", policy], state: temp, env: clocks.env, deno };
  let server = await ServerProcess.start(options);
  await using end = new AsyncDisposableStack();
  end.defer(async () => void await server.stop());
  const port = server.ports[0];
  const hasIds = async () => await ask(port, ids) > 0;
  await until("the first ids, which are there with the next tick", hasIds);
  for (const seconds of [0, -1, -3600, 3600, 0]) {
    await clocks.step(seconds);
    const before = await ask(port, ids);
    server.kill("SIGKILL");
    await server.ended();
    server = await ServerProcess.start({ ...options, port });
    const after = await ask(port, ids);
    // A worker whose clock alone is ahead is past what its supervisor reserves. Otherwise, this policy goes on.
    const goesOn = policy === "logical" && !(who === "workers" && seconds > 0);
    if (goesOn && before + after === 0) await until(`ids at ${seconds} s`, hasIds);
  }
  await server.stop();
  await server.workersEnded();
  ids.assertUnique();
}

async function saysThatTheClockIsBehind(): Promise<void> {
  await using temp = await TempDir.make();
  const clocks = await FakedClocks.make(temp, "both");
  await using server = await ServerProcess.start({ flags: ["--workers", "1"], state: temp, env: clocks.env, deno });
  await clocks.step(-3600);
  await server.says(
    /the clock is 3[56][0-9]{2} s behind the reservation of node 0 \(until .*\): an earlier server could not give its unused ticks back/,
  );
  assertMatch(server.printed, /there are no ids until it has caught up; to have them now, put the clock right/);
  await clocks.step(0);
  await server.says(/the clock has caught up with the reservation/);
}

/** Deno lets a process with LD_PRELOAD start others only if it may start any. */
const deno = ["-P=serve", "--allow-run"];

/** How many servers are under way at a time. */
const AT_ONCE = 4;

if (LIBFAKETIME === undefined) {
  console.warn("faults_test: left out, since clocks that are stepped need libfaketime (package faketime)");
} else {
  describe("a server whose clocks are stepped", () => {
    const stepped: Stepped[] = ["both", "supervisor", "workers"];
    const policies = ["refuse", "logical"] as const;
    itSideBySide([
      ...stepped.flatMap((who) =>
        policies.map((policy): TestCase => [
          `by -1 s, -1 h and +1 h, with restarts in between, gives no id twice: ${who}, ${policy}`,
          () => stepAndRestart(who, policy),
        ])
      ),
      ["says that the clock is behind, what follows from that, and when it is over", saysThatTheClockIsBehind],
    ], AT_ONCE);
  });
}
