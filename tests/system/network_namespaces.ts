import { assert } from "@std/assert";

/** Machines with a network each, linked to this one, where servers can be cut off. Root only. */
export class NetworkNamespaces implements AsyncDisposable {
  /** Different from those of other runs on the machine. */
  readonly #id = crypto.getRandomValues(new Uint16Array(1))[0].toString(16);
  readonly #names: readonly string[];
  /** The networks are 10.X.N.0/24, with N from 1 on. */
  readonly #second = 64 + crypto.getRandomValues(new Uint8Array(1))[0] % 128;

  private constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Makes them. */
  static async make(names: readonly string[]): Promise<NetworkNamespaces> {
    const network = new NetworkNamespaces(names);
    for (const [i, name] of names.entries()) {
      const [namespace, link] = [network.#namespaceOf(name), network.#linkOf(name)];
      const prefix = `10.${network.#second}.${i + 1}`;
      await run("ip", "netns", "add", namespace);
      await run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace);
      await run("ip", "addr", "add", `${prefix}.1/24`, "dev", link);
      await run("ip", "link", "set", link, "up");
      await run("ip", "-n", namespace, "addr", "add", `${prefix}.2/24`, "dev", "eth0");
      await run("ip", "-n", namespace, "link", "set", "eth0", "up");
      await run("ip", "-n", namespace, "link", "set", "lo", "up");
    }
    return network;
  }

  /** The address of a machine. */
  addressOf(name: string): string {
    return `10.${this.#second}.${this.#names.indexOf(name) + 1}.2`;
  }

  /** A command that runs another one on a machine. */
  runnerOf(name: string): string[] {
    return ["ip", "netns", "exec", this.#namespaceOf(name)];
  }

  /** Drops all that is sent to a machine, and what it sends. */
  async cutOff(name: string): Promise<void> {
    const rules = "table inet cut { chain in { type filter hook input priority 0; policy drop; }; " +
      "chain out { type filter hook output priority 0; policy drop; }; }";
    await run(...this.runnerOf(name), "nft", rules);
  }

  /** Undoes that. */
  async connect(name: string): Promise<void> {
    await run(...this.runnerOf(name), "nft", "delete table inet cut");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#names) await run("ip", "netns", "del", this.#namespaceOf(name));
  }

  #namespaceOf(name: string): string {
    return `gid-${this.#id}-${name}`;
  }

  #linkOf(name: string): string {
    return `gid${this.#id}${name}`;
  }
}

/** Why this machine cannot make them; `undefined` if it can. */
export async function whyNoNamespaces(): Promise<string | undefined> {
  try {
    await using network = await NetworkNamespaces.make(["t"]);
    await network.cutOff("t");
    return undefined;
  } catch (error) {
    return `network namespaces need root, iproute2 and nftables: ${(error as Error).message}`;
  }
}

async function run(...words: string[]): Promise<void> {
  const [command, ...args] = words;
  const { success, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  assert(success, `${words.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
