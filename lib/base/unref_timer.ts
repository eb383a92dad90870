/** Lets the process end although a timer is set: Deno's way, then Node's. */
export function unrefTimer(timer: unknown): void {
  if (typeof timer === "number") (globalThis as { Deno?: typeof Deno }).Deno?.unrefTimer(timer);
  else (timer as { unref?: () => void }).unref?.();
}
