/**
 * Makes a promise of a call that a signal can abort.
 *
 * @param begin Begins the call, which then resolves or rejects, and returns a handle on it.
 * @param giveUp Gives up the call with this handle.
 * @param signal The signal. Its listener is removed as soon as the call has ended.
 * @returns A promise of the call's result. It rejects with the signal's reason if the signal is aborted first.
 */
export function abortable<Value, Handle>(
  begin: (resolve: (value: Value) => void, reject: (error: Error) => void) => Handle,
  giveUp: (handle: Handle) => void,
  signal: AbortSignal | undefined,
): Promise<Value> {
  if (signal === undefined) return new Promise(begin);
  if (signal.aborted) return Promise.reject(signal.reason);
  let onAbort = () => {};
  const promise = new Promise<Value>((resolve, reject) => {
    const handle = begin(resolve, reject);
    onAbort = () => {
      giveUp(handle);
      reject(signal.reason);
    };
  });
  signal.addEventListener("abort", onAbort);
  const removeListener = () => signal.removeEventListener("abort", onAbort);
  promise.then(removeListener, removeListener);
  return promise;
}
