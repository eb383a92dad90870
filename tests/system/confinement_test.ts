import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IdClient } from "../../client.ts";
import { poolPathOf } from "../../lib/node/pool_path.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { until } from "../../testing/within.ts";

/** What every thread of a process says of itself: the lines of its status that are about confinement. */
async function confinementOf(pid: number): Promise<string[]> {
  const script = `grep -hE '^(NoNewPrivs|Seccomp):' /proc/${pid}/task/*/status | tr -d '\\t'`;
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script] }).output();
  return new TextDecoder().decode(stdout).trim().split("\n");
}

/** Whether there are two workers, all threads of both are confined, and they share the pool and no other memory. */
async function isConfined(server: ServerProcess): Promise<boolean> {
  const pids = await server.workerPids();
  const statuses = await Promise.all(pids.map(confinementOf));
  const shared = await Promise.all(pids.map(sharedFilesOf));
  const pool = poolPathOf(server.state.path, 0);
  if (!shared.every((files) => files.join() === pool)) return false;
  return statuses.length === 2 && statuses.every((lines) => lines.length > 4 && lines.every(isOfConfined));
}

/** The files whose memory a process shares, as proc_pid_maps(5) has them. */
async function sharedFilesOf(pid: number): Promise<string[]> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/maps`] }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n").map((line) => line.trim().split(/ +/));
  return lines.filter(([, permissions]) => permissions?.endsWith("s")).map((fields) => fields.slice(5).join(" "));
}

const isOfConfined = (line: string) => line === "NoNewPrivs:1" || line === "Seccomp:2";

describe("a server's workers", () => {
  it("are confined, all threads of them, and their successors after a reload or a death", async () => {
    await using server = await ServerProcess.start({ flags: ["--workers", "2"] });
    assert(await isConfined(server));
    server.kill("SIGUSR2");
    await server.says(/the workers have been replaced/);
    assert(await isConfined(server));
    const [pid] = await server.workerPids();
    Deno.kill(pid, "SIGKILL");
    await server.says(/starting it again/);
    await until("the worker that was started again is confined", () => isConfined(server));
    using client = new IdClient({ port: server.ports[0] });
    for (let i = 0; i < 200; i++) await client.nextId();
    assertEquals(server.printed.match(/rights of their user|Warning|panick/i), null);
  });
});
