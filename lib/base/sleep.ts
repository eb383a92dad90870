import { abortable } from "./abortable.ts";

/**
 * Waits.
 *
 * @param ms For how long, in ms.
 * @param signal Ends the wait, and its timer; the promise then rejects with the signal's reason.
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return abortable<void, ReturnType<typeof setTimeout>>(
    (resolve) => setTimeout(resolve, ms),
    (timer) => clearTimeout(timer),
    signal,
  );
}
