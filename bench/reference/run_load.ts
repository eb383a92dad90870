/** What the load generator is to do; the defaults are its own. */
export interface LoadOptions {
  /** The program, from `buildReference`. */
  program: string;
  /** The server's IPv4 or IPv6 address. Default: 127.0.0.1. */
  hostname?: string;
  /** The server's ports; the sockets take them in turn. */
  ports: number[];
  /** How many connected sockets, each with a port of its own, 1 to 1024. Default: 1. */
  sockets?: number;
  /** How many requests a socket has in flight at most, 1 to 4096. Default: 1. */
  inFlight?: number;
  /** The CPU to run on. Default: any. */
  cpu?: number;
  /** How many whole seconds of the clock to measure. Default: 5. */
  seconds?: number;
  /** How long to ask before that at least, in s; up to one more, until a second of the clock begins. Default: 1. */
  warmup?: number;
  /** Default: `"basic"`. */
  protocol?: "basic" | "range";
  /**
   * Whether requests that go out together are datagrams, or one message each time, which the kernel carries as one
   * (UDP_SEGMENT); answers are taken in the same way (UDP_GRO). Default: `"datagrams"`.
   */
  send?: "datagrams" | "segments";
  /** How many ids a range request asks for, 1 to 2^32 - 1. Default: 1. */
  count?: number;
  /**
   * How many requests a second in all, evenly spaced whatever the server does (an open loop). Default: 0, every answer
   * is followed by the next request (a closed loop).
   */
  rate?: number;
  /**
   * The file to write all ids to that were received, those outside of the measured seconds included, in words of 8
   * bytes, little endian: with `basic` each id, with `range` three words an answer: first id, step, how many.
   */
  ids?: string;
}

/** What the load generator got in the seconds that it measured. */
export interface LoadResult {
  protocol: "basic" | "range";
  sockets: number;
  inFlight: number;
  count: number;
  rate: number;
  seconds: number;
  /** Requests sent. */
  sent: number;
  /** Answers, `ok` and `refused`. */
  replies: number;
  /** Answers with ids. */
  ok: number;
  /** The ids in them. */
  ids: number;
  /** Answers without: basic errors, or a status other than OK. */
  refused: number;
  /** How many of them by status (see `WireStatus`); only with `range`, the basic protocol does not say why. */
  refusedByStatus: Record<string, number>;
  /**
   * Requests that were not answered within 100 ms; another one took their place. With `basic` and several requests in
   * flight a socket, a loss shows only when all of the socket's are lost, or at the end: till then, fewer are.
   */
  lost: number;
  /** Answers that came after that; only with `range`. */
  late: number;
  /** Answers that the protocol does not allow. */
  invalid: number;
  /** From the request to its answer, in us; with a rate, from when the request was due. What was lost is not in it. */
  latencyUs: Percentiles | null;
  /** With a rate: how long after they were due requests were sent, in us: what the generator adds to the latency. */
  sendDelayUs: Percentiles | null;
  /** CPU time that the load generator used, in s, the kernel's on its behalf included. */
  cpuSeconds: number;
  /**
   * The share of one CPU that this is. Well below 1, the server was the bottleneck. Near 1, look at the server's as
   * well: on loopback both do the same work for a datagram, and are used up at about the same rate. It means nothing
   * where the two shared a CPU: then each had what the other left.
   */
  cpuUtilization: number;
  /** The same counts by second of the Unix clock. All are whole seconds. */
  perSecond: { second: number; ok: number; refused: number; ids: number }[];
}

/** How long at most 50, 99 and 99.9 percent took, to 1.6 percent, and the longest of all. */
export interface Percentiles {
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

/**
 * Runs the load generator once.
 *
 * @param options What it is to do.
 * @returns What it got.
 * @throws {Error} If it fails; it says why on stderr.
 */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { program, hostname, ports, inFlight, ...others } = options;
  const args = Object.entries({ host: hostname, port: ports.join(","), "in-flight": inFlight, ...others })
    .flatMap(([name, value]) => value === undefined ? [] : [`--${name}`, String(value)]);
  const { success, stdout } = await new Deno.Command(program, { args, stdin: "null", stderr: "inherit" }).output();
  if (!success) throw new Error(`the load generator has failed: ${args.join(" ")}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
