/**
 * The UDP benchmark, second by second: a server with so many worker processes, and as many client processes, each
 * asking for one id a request; first with one request in flight a client, then with 64.
 *
 *     deno task bench:udp [workers] [seconds]
 */
import { denoCommand } from "../testing/deno_process.ts";
import { ServerProcess } from "../testing/server_process.ts";
import { integerArg } from "./integer_arg.ts";

const workers = integerArg(0, "workers", navigator.hardwareConcurrency);
const seconds = integerArg(1, "seconds", 10);

await using server = await ServerProcess.start({ flags: ["--workers", String(workers)] });
for (const inFlight of [1, 64]) {
  console.log(`# workers: ${workers}, clients: ${workers}, in flight a client: ${inFlight}`);
  await table(inFlight);
}

/** Prints a line a second: the sums of all clients, and the counts of each. */
async function table(inFlight: number): Promise<void> {
  const clients = Array.from({ length: workers }, (_, i) => startClient(i, inFlight));
  const rows = new Map<number, [ok: number, error: number][]>();
  let printed = 0;
  const done = Promise.withResolvers<void>();

  for (const [i, client] of clients.entries()) {
    readLines(client.stdout, (line) => {
      const [second, ok, error] = line.split(" ").map(Number);
      const row = rows.get(second) ?? [];
      rows.set(second, row);
      row[i] = [ok, error];
      // The first second of a client is not a whole one.
      if (Object.keys(row).length < workers || second === Math.min(...rows.keys()) || printed === seconds) return;
      console.log(formatRow(row));
      if (++printed === seconds) done.resolve();
    });
  }
  await done.promise;
  for (const client of clients) client.kill("SIGKILL");
  await Promise.all(clients.map((client) => client.status));
}

function formatRow(row: [ok: number, error: number][]): string {
  const [oks, errors] = [row.map(([ok]) => ok), row.map(([, error]) => error)];
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b);
  return `ok: ${sum(oks)}, error: ${sum(errors)}; ok: [${oks.join(", ")}], error: [${errors.join(", ")}]`;
}

function startClient(index: number, inFlight: number): Deno.ChildProcess {
  return denoCommand({
    deno: ["run", "--quiet", "--unstable-net", "--allow-ffi", "--allow-net=127.0.0.1,0.0.0.0"],
    program: "bench/load_client.ts",
    args: [server.ports[index % server.ports.length], inFlight],
    stdin: "null",
    stdout: "piped",
  }).spawn();
}

async function readLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>, onLine: (line: string) => void) {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  }
}
