import type { NodeOptions, ServeOptions } from "../../lib/server/serve_options.ts";

/** The options of a server that is started without flags. */
export const DEFAULTS: ServeOptions = {
  node: 0,
  nodeIdBase: 0,
  store: undefined,
  trustStore: false,
  hostnames: ["127.0.0.1"],
  port: 9999,
  workers: undefined,
  backend: undefined,
  layout: "default",
  clockPolicy: "refuse",
  maxDriftMs: undefined,
  stateDir: undefined,
  allow: undefined,
  keyFile: undefined,
  cluster: "global-id",
  sourceShare: undefined,
  sourcePrefix: 56,
  maxCount: undefined,
  isReplacing: false,
};

/** The options of that server once it has its node. */
export const NODE_DEFAULTS: NodeOptions = { ...DEFAULTS, nodeId: 0 };
