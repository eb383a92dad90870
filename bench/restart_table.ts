/**
 * How long there are no ids while a server is started again: from the start of the next server's process, which is made
 * at once, to its first id, in ms.
 *
 *     deno task bench:restart [restarts]
 *
 * Two workers, the default policy, a client that asks every 2 ms. Once after SIGTERM, then after kill -9 of all
 * processes.
 */
import { TempDir } from "../testing/temp_dir.ts";
import { killIfAlive, ServerProcess } from "../testing/server_process.ts";
import { firstId } from "./report/first_reply.ts";

const FLAGS = ["--workers", "2"];

const restarts = Number(Deno.args[0] ?? 20);
if (!(Number.isInteger(restarts) && restarts > 0)) throw new Error("usage: restart_table.ts [restarts]");
const signal = new AbortController().signal;

console.log(`from start to first id, ms (${restarts} restarts): median, max`);
console.log(`after SIGTERM: ${await measure((server) => server.kill("SIGTERM"))}`);
console.log(`after kill -9: ${await measure(killAll)}`);

async function measure(end: (server: ServerProcess) => void | Promise<void>): Promise<string> {
  await using state = await TempDir.make();
  let server = await ServerProcess.start({ flags: FLAGS, state });
  const [port] = server.ports;
  await firstId(port, signal);
  const timesMs: number[] = [];
  for (let restart = 0; restart < restarts; restart++) {
    await end(server);
    await server.ended();
    const beganMs = performance.now();
    server = await ServerProcess.spawn({ flags: FLAGS, state, port });
    await firstId(port, signal);
    timesMs.push(performance.now() - beganMs);
    await server.says(/try it/);
  }
  await server.stop();
  timesMs.sort((a, b) => a - b);
  return `${timesMs[timesMs.length >> 1].toFixed(0)}, ${timesMs.at(-1)!.toFixed(0)}`;
}

async function killAll(server: ServerProcess): Promise<void> {
  for (const pid of [server.pid, ...await server.workerPids()]) killIfAlive(pid);
}
