/**
 * Floods a server from this machine, and prints what becomes of a good client meanwhile: a worker, a flooder, and a
 * client that asks 1,000 times a second over 8 sockets, whatever is answered.
 *
 *     deno task bench:floods [rounds] [directory of another checkout]
 *
 * A flood from another network namespace, or with forged senders, needs root, and is left out without it. Needs a C
 * compiler.
 */
import { ServerProcess } from "../testing/server_process.ts";
import { integerArg } from "./integer_arg.ts";
import { buildReference } from "./reference/build.ts";
import { runLoad } from "./reference/run_load.ts";
import { toMarkdown } from "./report/table.ts";

/** How long a flood goes on before the client is measured, and how long the client is, in s. */
const HEAD_START_S = 0.3;
const MEASURED_S = 3;
/** Until the client has begun with a second of the clock and all of its requests are answered or lost, in s. */
const FLOOD_S = HEAD_START_S + MEASURED_S + 1.2;
/** Between two floods: until what they left in the queue is gone, in ms. */
const PAUSE_MS = 700;

const SERVER = "10.87.0.1";
const NETWORK = `global-id-flood-${Deno.pid}`;

/** Addresses to which this machine has no route meanwhile. */
const UNREACHABLE = "198.51.100.0/24";

/** A flood: what its datagrams are, how many of them a message has, and from how many ports they come. */
interface Flood {
  name: string;
  /** Further flags of the server. */
  flags?: string;
  kind?: "basic" | "range" | "garbage1" | "garbage64";
  segments?: number;
  sockets?: number;
  /** Whether it comes from another network namespace. */
  isFromOutside?: boolean;
  /** The sender's address and port, if they are forged. */
  sender?: string;
  /** Whether it goes to a port where nobody listens: what the flooder's CPU time alone does to the client. */
  isElsewhere?: boolean;
}

const LISTEN_DATAGRAM = "--backend listen-datagram";

const FLOODS: Flood[] = [
  { name: "none" },
  { name: "to another port", kind: "basic", isElsewhere: true },
  { name: "basic requests", kind: "basic" },
  { name: "ranges of all ids", kind: "range" },
  { name: "garbage of 1 byte", kind: "garbage1" },
  { name: "garbage of 64 bytes", kind: "garbage64" },
  { name: "basic requests, 256 ports", kind: "basic", sockets: 256 },
  { name: "ranges of all ids, 256 ports", kind: "range", sockets: 256 },
  { name: "basic requests, datagram by datagram", kind: "basic", segments: 1 },
  { name: "basic requests, from outside", kind: "basic", isFromOutside: true },
  { name: "the same, not allowed", kind: "basic", isFromOutside: true, flags: "--allow 127.0.0.0/8" },
  { name: "listen-datagram: none", flags: LISTEN_DATAGRAM },
  { name: "listen-datagram: basic requests, datagram by datagram", flags: LISTEN_DATAGRAM, kind: "basic", segments: 1 },
  { name: "listen-datagram: from port 0", flags: LISTEN_DATAGRAM, kind: "basic", sender: "127.0.0.1:0" },
  { name: "listen-datagram: without a route back", flags: LISTEN_DATAGRAM, kind: "basic", sender: "198.51.100.1:4000" },
];

/** What became of the client, medians of the rounds. */
interface Outcome {
  flooded: number;
  answered: number;
  withIds: number;
  p50: number;
  p99: number;
}

const rounds = integerArg(0, "rounds", 3);
const [, directory] = Deno.args;
const reference = await buildReference();
if (reference === undefined) throw new Error("this needs Linux and a C compiler (cc)");
const { load, flood } = reference;

const outcomes = new Map<string, Outcome[]>();
const isRoot = await addNetwork();
const floods = FLOODS.filter(({ isFromOutside, sender }) => isRoot || !isFromOutside && sender === undefined);
try {
  for (let round = 0; round < rounds; round++) {
    for (const [flags, ofOneServer] of Map.groupBy(floods, ({ flags = "" }) => flags)) {
      await runFloods(flags, ofOneServer);
    }
  }
} finally {
  if (isRoot) await removeNetwork();
}
console.log(toMarkdown({
  columns: ["flood", "datagrams/s", "answered", "with ids", "p50, ms", "p99, ms"],
  rows: [...outcomes].map(([name, all]) => {
    const of = (key: keyof Outcome) => median(all.map((outcome) => outcome[key]));
    const percent = (key: keyof Outcome) => `${(of(key) * 100).toFixed(1)} %`;
    const millions = of("flooded") === 0 ? "" : `${(of("flooded") / 1e6).toFixed(1)} million`;
    return [name, millions, percent("answered"), percent("withIds"), of("p50").toFixed(2), of("p99").toFixed(1)];
  }),
}));

/** Puts each flood to one server. */
async function runFloods(flags: string, floods: Flood[]): Promise<void> {
  await using server = await startServer(flags);
  await new Promise((resolve) => setTimeout(resolve, 1200)); // until it has ids
  for (const flood of floods) {
    const outcome = await measure(server.ports[0], flood);
    outcomes.set(flood.name, [...outcomes.get(flood.name) ?? [], outcome]);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function startServer(further: string): Promise<ServerProcess> {
  const flags = `--workers 1 --layout dense --host 0.0.0.0 ${further}`.trim().split(" ");
  return ServerProcess.start({ flags, ...(directory === undefined ? {} : { cwd: directory }) });
}

async function measure(port: number, options: Flood): Promise<Outcome> {
  const { kind, segments = 64, sockets = 1, isFromOutside = false, isElsewhere = false, sender = "own" } = options;
  const args = Object.entries({
    address: isFromOutside ? SERVER : "127.0.0.1",
    port: isElsewhere ? 9 : port,
    ...{ kind, segments, sockets, sender, seconds: FLOOD_S },
  }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const command = isFromOutside ? ["ip", "netns", "exec", NETWORK, flood, ...args] : [flood, ...args];
  const flooding = kind && new Deno.Command(command[0], { args: command.slice(1), stderr: "inherit" }).output();
  await new Promise((resolve) => setTimeout(resolve, HEAD_START_S * 1000));
  const result = await runLoad(load, {
    ...{ port, seconds: MEASURED_S, warmup: 0, ids: "/dev/null", protocol: "range" },
    ...{ sockets: 8, inFlight: 512, rate: 1000, lostAfter: 1000 },
  });
  const flooded = flooding === undefined ? 0 : Number(new TextDecoder().decode((await flooding).stdout));
  const sum = (key: "ok" | "refused") => result.perSecond.reduce((total, second) => total + second[key], 0);
  const asked = sum("ok") + sum("refused") + result.lost;
  return {
    flooded,
    answered: 1 - result.lost / asked,
    withIds: sum("ok") / asked,
    p50: (result.latencyUs?.p50 ?? NaN) / 1000,
    p99: (result.latencyUs?.p99 ?? NaN) / 1000,
  };
}

/** Adds another network namespace with a link to this one, and a route to nowhere. Returns whether this user may. */
async function addNetwork(): Promise<boolean> {
  if (!await ip("netns", "add", NETWORK)) return false;
  const steps = [
    ["link", "add", "flooded", "type", "veth", "peer", "name", "flooder", "netns", NETWORK],
    ["addr", "add", `${SERVER}/24`, "dev", "flooded"],
    ["link", "set", "flooded", "up"],
    ["-n", NETWORK, "addr", "add", "10.87.0.2/24", "dev", "flooder"],
    ["-n", NETWORK, "link", "set", "flooder", "up"],
    ["route", "add", "unreachable", UNREACHABLE],
  ];
  for (const step of steps) if (!await ip(...step)) throw new Error(`ip ${step.join(" ")} has failed`);
  return true;
}

async function removeNetwork(): Promise<void> {
  await ip("route", "del", "unreachable", UNREACHABLE);
  await ip("netns", "del", NETWORK);
}

async function ip(...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command("ip", { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}
