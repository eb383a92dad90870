/** How to start the server in C; the defaults are its own. */
export interface ReferenceServerOptions {
  /** How many processes, each pinned to a CPU. Default: 1. */
  workers?: number;
  /** Whether each takes the datagrams that arrive on its CPU (SO_INCOMING_CPU). Default: no. */
  incomingCpu?: boolean;
  /**
   * One datagram a system call; up to 64; or up to 64 messages, each of several datagrams of one sender or receiver
   * where there are such, as this project's server does it. Default: `"segments"`.
   */
  calls?: "plain" | "batch" | "segments";
  /** 2^sequenceBits ids a second, 0 to 24. Default: 17, as in the default layout; 20 is the wide one. */
  sequenceBits?: number;
}

/** A server in C that serves; disposing of it ends it. */
export interface ReferenceServer extends AsyncDisposable {
  /** The ports that it serves: one. */
  readonly ports: number[];
}

/**
 * Starts the server in C and waits until its port is open. Its first id is there with the next second of the clock.
 *
 * @param program The program, from `buildReference`.
 * @param options How to start it.
 * @returns The server.
 * @throws {Error} If it ends at once.
 */
export async function startReferenceServer(program: string, options: ReferenceServerOptions): Promise<ReferenceServer> {
  const { workers, incomingCpu, calls, sequenceBits } = options;
  const args = Object.entries({
    workers,
    calls,
    "sequence-bits": sequenceBits,
    "incoming-cpu": incomingCpu ? "yes" : "no",
  })
    .flatMap(([name, value]) => value === undefined ? [] : [`--${name}`, String(value)]);
  // It ends when its stdin does, so also when this process is killed.
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped" }).spawn();
  const { value } = await child.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
  const port = Number(value?.match(/^udp port ([0-9]+)$/m)?.[1]);
  if (!(port > 0)) throw new Error("the server in C has not started");
  return {
    ports: [port],
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await child.status;
    },
  };
}
