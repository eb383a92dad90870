import { StoreError } from "../errors.ts";

/** The way in which a store failed. */
export type StoreFailure = "cannot be used" | "failed";

/**
 * The error of a store of one file.
 *
 * @param path The file.
 * @param failure What the store could not do.
 * @param cause Why: an error, or its message, if the error itself could not be passed on.
 */
export function storeFailure(path: string, failure: StoreFailure, cause: unknown): StoreError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StoreError(`the reservation store ${path} ${failure}: ${reason}`, cause instanceof Error ? { cause } : {});
}
