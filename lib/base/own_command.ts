import denoJson from "../../deno.json" with { type: "json" };

/** Where this package lies: a directory of the checkout, or an address of JSR's. */
const ROOT = new URL("../../", import.meta.url);

/** The commands of this package: the name of the task, and of its permissions, and the entry point. */
const COMMANDS = {
  serve: { module: "server.ts", entryPoint: "server", permissions: "-A" },
  id: { module: "id_command.ts", entryPoint: "id-command", permissions: "--unstable-net --allow-net" },
  nodes: { module: "nodes_command.ts", entryPoint: "nodes-command", permissions: "-A" },
} as const;

/** The version of this package. */
export const VERSION: string = denoJson.version;

/**
 * Names a command of this package as it can be typed here: as a task in the directory of the checkout; by the path of
 * its module elsewhere; by its name on JSR where there is no checkout.
 *
 * @param name The command.
 */
export function ownCommand(name: keyof typeof COMMANDS): string {
  const { module, entryPoint, permissions } = COMMANDS[name];
  if (ROOT.protocol !== "file:") return `deno run ${permissions} jsr:${denoJson.name}@${VERSION}/${entryPoint}`;
  if (isHere()) return `deno task ${name}`;
  return `deno run -P=${name} ${decodeURIComponent(new URL(module, ROOT).pathname)}`;
}

/** Whether the present directory is that of the checkout, as far as this process may know. */
function isHere(): boolean {
  try {
    return decodeURIComponent(ROOT.pathname) === `${Deno.cwd()}/`;
  } catch {
    return false;
  }
}
