import { Mac } from "../../lib/access/mac.ts";
import { MAX_REQUEST_AHEAD_MS } from "../../lib/access/replay_window.ts";
import { ConnectedSocket } from "../../lib/udp/connected_socket.ts";
import { RANGE, RANGE_BYTES, SIGNED, SIGNED_BYTES } from "../../lib/wire/protocol.ts";
import { writeRangeRequest } from "../../lib/wire/request.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { sleep } from "../stop.ts";
import type { Sample } from "./figures.ts";
import type { Lab } from "./lab.ts";
import { cpuSeconds } from "./process_stats.ts";
import { type Section, subject } from "./section.ts";
import { tableOf } from "./table.ts";

const IN_FLIGHT = 64;
const WARM_UP_REQUESTS = 20_000;
const REQUESTS_PER_SECOND = 70_000;
const RESPONSE_LIMIT_MS = 900;

const elsewhere = Array.from({ length: 100 }, (_, i) => ["--allow", `10.0.${i}.0/24`]).flat();
/** The flags that are compared, by row. */
const CHECKS: Record<string, string[]> = {
  "nothing": [],
  "--allow, 1 range": ["--allow", "127.0.0.0/8"],
  "--allow, 101 ranges": [...elsewhere, "--allow", "127.0.0.0/8"],
  "--source-share 100": ["--source-share", "100"],
};
const SIGNED_ROW = "--key-file";
const ROWS = [...Object.keys(CHECKS), SIGNED_ROW];

/** The cost of access control. */
export const ACCESS: Section = {
  name: "access",
  title: "Access control: what a check costs a worker",
  about: "The CPU time that a worker takes for a request, the kernel's on its behalf included, and so how many " +
    "requests it could answer in a second of that. Range requests for 1 id, 64 in flight, sent as segments, " +
    "signed before the clock starts.",

  subjects: (isQuick) => (isQuick ? [SIGNED_ROW] : ROWS).map((row) => subject(row, (lab) => measure(lab, row))),

  show: (figures) => ({
    tables: [tableOf(ROWS, {
      "access control": (row) => row,
      "us a request": (row) => figures.text(row, "usPerRequest"),
      "requests/s of CPU": (row) => figures.text(row, "requestsPerSecond"),
    })],
    panels: [figures.panel("CPU time of a worker for a request, in us", ROWS, { "us a request": "usPerRequest" })],
  }),
};

async function measure(lab: Lab, row: string): Promise<Sample> {
  await using state = await TempDir.make();
  const mac = row === SIGNED_ROW ? new Mac(await makeKey(`${state.path}/key`)) : undefined;
  const check = mac === undefined ? CHECKS[row] : ["--key-file", `${state.path}/key`];
  const flags = ["--workers", "1", "--layout", "wide", ...check];
  await using server = await ServerProcess.start({ state, flags });
  const pids = await server.workerPids();
  const socket = new ConnectedSocket("127.0.0.1", server.ports[0], RESPONSE_LIMIT_MS);
  const count = lab.options.seconds * REQUESTS_PER_SECOND;
  // A server that has just started takes signed requests of that time for repeated ones.
  await sleep(MAX_REQUEST_AHEAD_MS);
  ask(socket, requestsOf(WARM_UP_REQUESTS, mac), mac !== undefined);
  const requests = requestsOf(count, mac);
  const before = await cpuSeconds(pids);
  ask(socket, requests, mac !== undefined);
  const used = await cpuSeconds(pids) - before;
  socket.close();
  return { usPerRequest: used * 1e6 / count, requestsPerSecond: count / used };
}

async function makeKey(file: string): Promise<Uint8Array<ArrayBuffer>> {
  const key = crypto.getRandomValues(new Uint8Array(32));
  await Deno.writeTextFile(file, key.toHex(), { mode: 0o600 });
  return key;
}

/** Requests one behind the other, each in as many bytes as a signed one has. */
function requestsOf(count: number, mac: Mac | undefined): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count * SIGNED_BYTES);
  for (let i = 0; i < count; i++) {
    const view = new DataView(bytes.buffer, i * SIGNED_BYTES, SIGNED_BYTES);
    writeRangeRequest(view, 1, 0, i);
    mac?.signRequest(view, Date.now(), 0, Math.random() * 2 ** 32);
  }
  return bytes;
}

/** Sends all requests, as fast as they are answered. */
function ask(socket: ConnectedSocket, requests: Uint8Array<ArrayBuffer>, isSigned: boolean): void {
  const [length, answer] = isSigned ? [SIGNED_BYTES, SIGNED] : [RANGE_BYTES, RANGE];
  for (let begin = 0; begin < requests.length; begin += IN_FLIGHT * SIGNED_BYTES) {
    const end = Math.min(begin + IN_FLIGHT * SIGNED_BYTES, requests.length);
    for (let offset = begin; offset < end; offset += SIGNED_BYTES) {
      const { slot } = socket;
      for (let i = 0; i < length; i++) slot.setUint8(i, requests[offset + i]);
      socket.add(length);
    }
    socket.send();
    for (let left = (end - begin) / SIGNED_BYTES; left > 0;) {
      const received = socket.receive((response) => {
        const first = response.getUint8(0);
        if (first !== answer) throw new Error(`the server answers with 0x${first.toString(16)}`);
      });
      if (received === 0) throw new Error("the server does not answer");
      left -= received;
    }
  }
}
