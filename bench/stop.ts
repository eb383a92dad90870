const controller = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => controller.abort());
}

/** Aborts at the first signal that asks this process to stop, so that all that it has started ends. */
export const stop: AbortSignal = controller.signal;

/**
 * Waits for a promise, but not when this process is to stop.
 *
 * @throws {DOMException} If it is to stop.
 */
export async function unlessStopped<T>(promise: Promise<T>): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const reject = () => stopped.reject(stop.reason);
  stop.addEventListener("abort", reject);
  if (stop.aborted) reject();
  try {
    return await Promise.race([promise, stopped.promise]);
  } finally {
    stop.removeEventListener("abort", reject);
  }
}

/** Lets so many ms pass, but not when this process is to stop. */
export function sleep(ms: number): Promise<void> {
  return unlessStopped(new Promise((resolve) => setTimeout(resolve, Math.max(ms, 0))));
}
