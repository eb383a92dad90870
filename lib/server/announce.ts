import { DEFAULT_CLUSTER } from "../access/cluster.ts";
import { ownCommand } from "../base/own_command.ts";
import { shellWord } from "../base/shell_word.ts";
import { LAYOUTS } from "../id/presets.ts";
import type { WorkerConfig } from "./control_channel.ts";
import type { ServeLog } from "./serve_log.ts";
import type { NodeOptions } from "./serve_options.ts";

/** Tells the operator what is being served, and how to try it. */
export function announce(options: NodeOptions, configs: readonly WorkerConfig[], log: ServeLog): void {
  log.info(describeService(options, configs));
  log.info(`try it: ${tryCommand(options, portsOf(configs))}`);
}

/** Describes what is being served, in a line. */
export function describeService(
  { nodeId, hostnames, layout }: NodeOptions,
  configs: readonly WorkerConfig[],
): string {
  const ports = portsOf(configs);
  const { maxSequence, tickMs } = LAYOUTS[layout];
  const idsPerSecond = ((maxSequence + 1) * 1000 / tickMs).toLocaleString("en");
  const workers = `${configs.length} worker${configs.length === 1 ? "" : "s"}`;
  return `node ${nodeId} on ${hostnames.join(", ")} udp port ${ports.join(", ")}: ` +
    `${workers} (${configs[0].backend}, ${describeCpus(configs)}), ` +
    `up to ${idsPerSecond} ids a second (layout ${layout})`;
}

function portsOf(configs: readonly WorkerConfig[]): number[] {
  return [...new Set(configs.map(({ port }) => port))];
}

function describeCpus(configs: readonly WorkerConfig[]): string {
  const cpus = configs.map(({ cpu }) => cpu);
  if (cpus.some((cpu) => cpu === undefined)) return "not pinned";
  const numbers = [...new Set(cpus)];
  return `on CPU${numbers.length === 1 ? "" : "s"} ${numbers.join(", ")}`;
}

/** A command line that asks this server for an id. */
function tryCommand({ hostnames, keyFile, cluster }: NodeOptions, ports: number[]): string {
  const isReachedByDefault = hostnames.some((hostname) => ["127.0.0.1", "0.0.0.0", "::"].includes(hostname));
  const flags = [
    ...(isReachedByDefault ? [] : ["--host", hostnames[0]]),
    ...["--port", ports.join(",")],
    ...(keyFile === undefined ? [] : ["--key-file", shellWord(keyFile)]),
    ...(keyFile === undefined || cluster === DEFAULT_CLUSTER ? [] : ["--cluster", shellWord(cluster)]),
  ];
  return `${ownCommand("id")} ${flags.join(" ")}`;
}
