import { type LayoutName, LAYOUTS } from "../../lib/id/presets.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { firstId } from "./first_reply.ts";
import { IdLedger } from "./id_ledger.ts";

/** A server that is measured. Disposing of it ends it. */
export interface Target extends AsyncDisposable {
  readonly port: number;
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
  /** Default: 0. */
  nodeId?: number;
}

/** Starts this project's server with a state of its own, as a user does, and waits until it has ids. */
export async function startOwn(options: OwnOptions): Promise<OwnTarget> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startServer(options));
  const port = server.ports[0];
  const ledger = new IdLedger(1n << BigInt(LAYOUTS[options.layout].sequenceShift));
  ledger.addIds(BigUint64Array.of(await firstId(port)));
  const own = { server, workerPids: await server.workerPids(), ledger };
  const kept = stack.move();
  return { port, own, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Starts this project's server, and waits until it says that it serves. */
export function startServer({ layout, workers, nodeId = 0 }: OwnOptions): Promise<ServerProcess> {
  const flags = [
    ...["--layout", layout, "--node-id", String(nodeId)],
    ...workers === undefined ? [] : ["--workers", String(workers)],
  ];
  return ServerProcess.start({ flags });
}
