/** The task of the load generator. */
export interface LoadOptions {
  /** The server's port on 127.0.0.1. */
  port: number;
  /** How many whole seconds of the clock to measure. */
  seconds: number;
  /** How long to ask before that at least, in s; up to one more, until a second of the clock begins. */
  warmup: number;
  /**
   * The file to write all ids to that were received, those outside of the measured seconds included, in words of 8
   * bytes, little endian: with `basic` each id, with `range` three words an answer: first id, step, how many.
   */
  ids: string;
  /** How many connected sockets, each with a port of its own, 1 to 1024. Default: 1. */
  sockets?: number;
  /** How many requests a socket has in flight at most, 1 to 4096. Default: 1. */
  inFlight?: number;
  /** The CPU to run on. Default: any. */
  cpu?: number;
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
   * After how many ms without an answer a request counts as lost, 1 to 60,000, and another one may take its place.
   * Default: 100.
   */
  lostAfter?: number;
}

const DEFAULTS = {
  ...{ sockets: 1, inFlight: 1, cpu: -1, protocol: "basic", send: "datagrams", count: 1, rate: 0, lostAfter: 100 },
};

/** The answers in the seconds that were measured. */
export interface LoadResult {
  /**
   * Requests that were not answered in time; another one took their place. With `basic` and several requests in
   * flight a socket, a loss shows only when all of the socket's are lost, or at the end: till then, fewer are.
   */
  lost: number;
  /** Answers that the protocol does not allow. */
  invalid: number;
  /** From the request to its answer; with a rate, from when the request was due. Lost requests do not count. */
  latencyUs: Percentiles | null;
  /** With a rate: how long after they were due requests were sent: the generator's part of the latency. */
  sendDelayUs: Percentiles | null;
  /**
   * The share of one CPU that the load generator used. Well below 1, the server was the bottleneck. Near 1, look at the
   * server's as well: on loopback both do the same work for a datagram, and are used up at about the same rate. It
   * means nothing where the two shared a CPU: then each had the other's rest.
   */
  cpuUtilization: number;
  /** Answers with ids, answers without, and the ids, by second of the Unix clock. All are whole seconds. */
  perSecond: { second: number; ok: number; refused: number; ids: number }[];
}

/** How long at most 50, 99 and 99.9 percent took, in us, to 1.6 percent. */
export interface Percentiles {
  p50: number;
  p99: number;
  p999: number;
}

/**
 * Runs the load generator once.
 *
 * @param program The program, from `buildReference`.
 * @throws {Error} If it fails; it says why on stderr.
 */
export async function runLoad(program: string, options: LoadOptions): Promise<LoadResult> {
  const args = Object.entries({ ...DEFAULTS, ...options }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { success, stdout } = await new Deno.Command(program, { args, stdin: "null", stderr: "inherit" }).output();
  if (!success) throw new Error(`the load generator has failed: ${args.join(" ")}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
