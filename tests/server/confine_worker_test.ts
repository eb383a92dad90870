import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openLibc } from "../../lib/libc/libc.ts";
import { confineWorker, warnIfUnconfined } from "../../lib/server/confine_worker.ts";
import { WORKER_ENV, workerFlags } from "../../lib/server/worker_process.ts";
import { runDeno } from "../../testing/deno_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { libcWithErrno } from "../wrong_errno.ts";

const EPERM = 1;
const ABORTED = 128 + 6; // SIGABRT

interface Ending {
  outcomes: Record<string, unknown>;
  /** How many bytes it wrote by the memory of two files, and of a third one which it was to keep. */
  written: number[];
  /** The names of the files that it shares memory with. */
  shared: string[];
  wentOn: boolean;
  stderr: string;
  code: number;
}

/** Runs `confined_process.ts` with the flags of a worker. */
async function run(mode: "confined" | "free", end = "end"): Promise<Ending> {
  await using dir = await TempDir.make();
  await Deno.writeTextFile(`${dir.path}/key`, "secret", { mode: 0o600 });
  const { stdout, stderr, ...status } = await runDeno({
    deno: workerFlags("reuseport", `${dir.path}/node-0.workers.lock`),
    program: new URL("./confined_process.ts", import.meta.url).pathname,
    args: [mode, dir.path, end],
    env: WORKER_ENV,
    stdin: "null",
  });
  const [first, second] = stdout.trim().split("\n");
  assert(first, stderr);
  return { ...JSON.parse(first), wentOn: second === "went on 50", stderr, ...status };
}

describe("confineWorker", () => {
  it("takes from a worker with FFI what it could do without it, and lets it go on", async () => {
    const free = await run("free");
    assertEquals(new Set(Object.values(free.outcomes)), new Set(["done"]));
    const confined = await run("confined");
    assertEquals(
      confined.outcomes,
      Object.fromEntries(Object.keys(confined.outcomes).map((name) => [name, name === "other calls" ? "" : EPERM])),
    );
    assert(Object.keys(confined.outcomes).length > Object.keys(free.outcomes).length);
    for (const { wentOn, code, stderr } of [free, confined]) {
      assertEquals([wentOn, code, stderr], [true, 0, ""]);
    }
  });

  it("leaves a worker no memory of a file, such as the runtime's caches, but the one that it is to keep", async () => {
    const [free, confined] = await Promise.all([run("free"), run("confined")]);
    assertEquals(free.written, [2 ** 17, 2 ** 17, 2 ** 17]);
    assert(["memory-0", "memory-1", "memory-2"].every((name) => free.shared.includes(name)), free.shared.join());
    assertEquals(confined.written, [0, 0, 2 ** 17]);
    assertEquals(confined.shared, ["memory-2"]);
  });

  it("lets a worker say why it crashes, and abort", async () => {
    const crash = await run("confined", "crash");
    assertMatch(crash.stderr, /TypeError: a bug in a worker[^]*at crash/);
    assertEquals(crash.code, 1);
    assertEquals((await run("confined", "abort")).code, ABORTED);
  });

  it("says so where the kernel takes no filter", () => {
    const without = { ...libcWithErrno(22), prctl: () => 0, syscall: () => -1n };
    assertMatch(confineWorker([], without) ?? "", /^cannot filter system calls \(probably: Invalid argument\)$/);
    const strict = { ...openLibc(), prctl: () => 0, syscall: () => 77n };
    assertMatch(confineWorker([], strict) ?? "", /thread 77 of this process has another filter/);
    const old = { ...libcWithErrno(22), prctl: () => -1 };
    assertMatch(confineWorker([], old) ?? "", /^cannot give up new privileges/);
    const unreadable = { ...libcWithErrno(2), open: () => -1 };
    assertMatch(
      confineWorker([], unreadable) ?? "",
      /^cannot read what memory .*\(probably: No such file or directory\)$/,
    );
  });
});

describe("warnIfUnconfined", () => {
  it("warns of a worker that could not be confined, and of no other", () => {
    const lines: string[] = [];
    const log = { info: () => {}, warn: (line: string) => void lines.push(line) };
    warnIfUnconfined({ unconfined: undefined }, log);
    warnIfUnconfined({ unconfined: "no filters" }, log);
    assertEquals(lines.length, 1);
    assertMatch(lines[0], /keep all rights of their user.*: no filters$/);
  });
});
