/** Far longer than anything here takes: what is not there by then never comes. */
const LIMIT_MS = 30_000;

/** The promise; it fails, and says what did not happen, if it would be waited for in vain. */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`waited ${LIMIT_MS / 1000} s in vain: ${what}`)), LIMIT_MS);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until a condition holds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + LIMIT_MS;
  while (!await condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${LIMIT_MS / 1000} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
