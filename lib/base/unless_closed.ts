import { ClosedError } from "./errors.ts";

/** The result of a call; `undefined` if the object was closed meanwhile, which ends a loop in good order. */
export async function unlessClosed<Result>(call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof ClosedError) return undefined;
    throw error;
  }
}
