/** How to start the server in C. */
export interface ReferenceServerOptions {
  /** How many processes, each pinned to a CPU. */
  workers: number;
  /** Whether each takes the datagrams that arrive on its CPU (SO_INCOMING_CPU). */
  incomingCpu: boolean;
  /**
   * One datagram a system call; up to 64; or up to 64 messages, each of several datagrams of one sender or receiver
   * where there are such, as this project's server does it.
   */
  calls: "plain" | "batch" | "segments";
  /** 2^sequenceBits ids a second, 0 to 24: 17 as in the default layout. */
  sequenceBits: number;
}

/** A server in C that serves; disposing of it ends it. */
export interface ReferenceServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Starts the server in C and waits until its port is open. Its first id is there with the next second of the clock.
 *
 * @param program The program, from `buildReference`.
 * @throws {Error} If it ends at once.
 */
export async function startReferenceServer(program: string, options: ReferenceServerOptions): Promise<ReferenceServer> {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  // It ends when its stdin does, so also when this process is killed.
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped" }).spawn();
  const { value } = await child.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
  const port = Number(value?.match(/^udp port ([0-9]+)$/m)?.[1]);
  if (!(port > 0)) throw new Error("the server in C has not started");
  return {
    port,
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await child.status;
    },
  };
}
