/**
 * Waits for a promise, but not when the signal says to stop.
 *
 * @throws {unknown} The signal's reason, if it says so.
 */
export async function unlessStopped<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const stop = () => stopped.reject(signal.reason);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    return await Promise.race([promise, stopped.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Lets so many ms pass, but not when the signal says to stop. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return unlessStopped(new Promise((resolve) => setTimeout(resolve, Math.max(ms, 0))), signal);
}
