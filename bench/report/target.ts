import { type LayoutName, LAYOUTS } from "../../lib/id/presets.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { type ReferenceServerOptions, startReferenceServer } from "../reference/start_server.ts";
import { firstId } from "./first_reply.ts";
import { IdLedger } from "./id_ledger.ts";
import { unlessStopped } from "./unless_stopped.ts";

/** A server that is measured. Disposing of it ends it. */
export interface Target extends AsyncDisposable {
  readonly ports: number[];
  readonly own?: OwnServer;
}

/** This project's server. */
export interface OwnTarget extends Target {
  readonly own: OwnServer;
}

/** The processes of this project's server, and where all ids from it go, to be sure that none comes twice. */
export interface OwnServer {
  readonly server: ServerProcess;
  readonly workerPids: number[];
  readonly ledger: IdLedger;
}

/** How to start this project's server. */
export interface OwnOptions {
  layout: LayoutName;
  /** Default: one for every CPU. */
  workers?: number;
}

/** Starts this project's server with a state of its own, as a user does, and waits until it has ids. */
export async function startOwn(options: OwnOptions, signal: AbortSignal): Promise<OwnTarget> {
  const server = await startServer(options, signal);
  return await orDispose(server, async () => {
    const ledger = new IdLedger(1n << BigInt(LAYOUTS[options.layout].sequenceShift));
    ledger.addIds(BigUint64Array.of(await firstId(server.ports[0], signal)));
    const own = { server, workerPids: await server.workerPids(), ledger };
    return { ports: server.ports, own, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  });
}

/** Starts this project's server, and waits until it says that it serves. */
export async function startServer({ layout, workers }: OwnOptions, signal: AbortSignal): Promise<ServerProcess> {
  signal.throwIfAborted();
  const flags = ["--layout", layout, ...workers === undefined ? [] : ["--workers", String(workers)]];
  const server = await ServerProcess.spawn({ flags });
  return await orDispose(server, async () => {
    await unlessStopped(server.says(/try it/), signal);
    return server;
  });
}

/** Starts the server in C, and waits until it has ids. */
export async function startReference(
  program: string,
  options: ReferenceServerOptions,
  signal: AbortSignal,
): Promise<Target> {
  signal.throwIfAborted();
  const server = await startReferenceServer(program, options);
  return await orDispose(server, async () => {
    await firstId(server.ports[0], signal);
    return server;
  });
}

/** Does something with a server, and ends the server if that fails. */
async function orDispose<T>(server: AsyncDisposable, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}
