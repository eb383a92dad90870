/**
 * Returns `value` if it is an integer from `min` to `max`, both included.
 *
 * @throws {TypeError} If it is not a number at all.
 * @throws {RangeError} If it is a number, but not such an integer.
 */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number") {
    throw new TypeError(`${name} must be a number from ${min} to ${max}: got ${describe(value)}`);
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}: got ${value}`);
  }
  return value;
}

/** The value as an error message shows it: what it is, then how it reads, cut short. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null) return `an object of ${value.constructor?.name ?? "no class"}`;
  return typeof value === "function" ? "a function" : String(value);
}
