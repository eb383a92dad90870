import { assertEquals, assertGreater } from "@std/assert";
import { cpuTicks, ServerProcess, type ServerProcessOptions } from "../../testing/server_process.ts";
import { until } from "../../testing/within.ts";
import { isFull } from "../settings.ts";
import type { RequestRecords } from "./request_records.ts";

/** How often in a row: each time, it is another moment of what the load does. */
export const TIMES = isFull ? 20 : 6;

/** So many ids a tick that a tick has some left whenever it is asked. */
export const FLAGS = ["--workers", "2", "--layout", "wide"];

/**
 * From 16 sockets, almost as fast as they can: there is time for servers that start meanwhile. Where others use the
 * CPUs too, an answer may take seconds.
 */
export const LOAD = { socketsEach: 8, patienceMs: 5000, pauseMs: 1 };

/** Starts a server, and waits until it serves. */
export async function startServer(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  return await ServerProcess.start({ flags: FLAGS, ...options });
}

/** Starts a server that is to take the place of another one. */
export async function spawnNext(server: ServerProcess, options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const { flags = FLAGS } = options;
  const [port] = server.ports;
  return await ServerProcess.spawn({ state: server.state, port, ...options, flags: [...flags, "--replace"] });
}

/** Waits until a further server, which is starting, has workers of its own, and returns their process ids. */
export async function ownWorkers(server: ServerProcess, others: number[]): Promise<number[]> {
  let own: number[] = [];
  await until("it has a worker", async () => {
    own = (await server.workerPids()).filter((pid) => !others.includes(pid));
    return own.length > 0;
  });
  return own;
}

/** Waits until a further server, whose second worker is late, gets a part of the requests with its first one. */
export async function firstWorkerWorks(server: ServerProcess, others: number[]): Promise<void> {
  const [first] = await ownWorkers(server, others);
  // More CPU time than it takes to start.
  await until("it has worked for 0.2 s", async () => await cpuTicks(first) >= 20);
}

export function assertNothingLost(records: RequestRecords): void {
  assertGreater(records.successes, 1000);
  assertEquals(records.outOfOrder, 0, "requests that got an id not above all that had been received before");
  assertEquals(records.repeated, 0, "requests that got ids of others");
  assertEquals(records.unanswered, 0, "requests unanswered");
  assertEquals(records.refused, 0, "requests refused");
  assertEquals(records.short, 0, "requests that got fewer ids than they asked for");
}
