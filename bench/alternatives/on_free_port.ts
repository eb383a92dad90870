/** How often to try: between asking for a port and using it, somebody else may take it. */
const ATTEMPTS = 3;

/**
 * Starts a server that cannot take port 0 on a TCP port that the kernel gives.
 *
 * @param start Starts it on that port, of 127.0.0.1.
 * @returns What that returns.
 */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await start(freePort());
    } catch (error) {
      if (attempt === ATTEMPTS || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
