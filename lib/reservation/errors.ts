import { GlobalIdError } from "../base/errors.ts";

/** The reservation store does not work, or does not answer in time. */
export class StoreError extends GlobalIdError {
  /** The name of the class. */
  override name = "StoreError";
}

/** The node is another holder's. */
export class NodeHeldError extends GlobalIdError {
  /** The name of the class. */
  override name = "NodeHeldError";
}

/** What is on record for the node was written with another layout. */
export class LayoutMismatchError extends GlobalIdError {
  /** The name of the class. */
  override name = "LayoutMismatchError";

  /**
   * Makes the error.
   *
   * @param nodeId The node.
   * @param recorded The layout on record.
   * @param asked The layout that was asked for.
   */
  constructor(nodeId: number, recorded: string, asked: string) {
    super(
      `node ${nodeId} is on record with the layout ${recorded}, and was asked for with ${asked}: ` +
        "their ids are not kept apart, so take that layout, another node id, or another store",
    );
  }
}
