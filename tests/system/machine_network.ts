import { assert } from "@std/assert";
import { denoCommand } from "../../testing/deno_process.ts";
import { within } from "../../testing/within.ts";

/**
 * Machines with a network namespace each, on one switch, which this machine is on as well: their links can be cut, slow
 * and lossy. The switch is a process (`switch_process.ts`), since not every kernel has netem. Root only.
 */
export class MachineNetwork implements AsyncDisposable {
  /** Different from those of other runs on the machine. */
  readonly #id: string;
  readonly #prefix = `10.${64 + crypto.getRandomValues(new Uint8Array(1))[0] % 128}.0`;
  readonly #names: readonly string[];
  readonly #switch: Deno.ChildProcess;
  readonly #commands: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  private constructor(names: readonly string[]) {
    this.#names = names;
    this.#id = crypto.getRandomValues(new Uint16Array(1))[0].toString(16);
    this.#switch = denoCommand({
      deno: ["run", "--quiet", "--allow-ffi"],
      program: new URL("./switch_process.ts", import.meta.url).href,
      args: [HERE, ...names].map((name) => this.#linkOf(name)),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#commands = this.#switch.stdin.getWriter();
    this.#answers = this.#switch.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Makes them. */
  static async make(names: readonly string[]): Promise<MachineNetwork> {
    const network = new MachineNetwork(names);
    try {
      await network.#answered("ready");
      await network.#plugIn();
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The address of a machine. */
  addressOf(name: string): string {
    return `${this.#prefix}.${this.#names.indexOf(name) + 2}`;
  }

  /** A command that runs another one on a machine. */
  runnerOf(name: string): string[] {
    return ["ip", "netns", "exec", this.#namespaceOf(name)];
  }

  /** Loses all that machines send, and what is sent to them; the machines themselves do not notice. */
  async cutOff(names: readonly string[]): Promise<void> {
    await this.impair(names, { loss: 1, delayMs: 0 });
  }

  /** Loses what machines send with this probability, and delays the rest. */
  async impair(names: readonly string[], { loss, delayMs }: { loss: number; delayMs: number }): Promise<void> {
    for (const name of names) {
      await this.#commands.write(new TextEncoder().encode(`${this.#linkOf(name)} ${loss} ${delayMs}\n`));
      await this.#answered("done");
    }
  }

  /** Undoes both. */
  async connect(names: readonly string[]): Promise<void> {
    await this.impair(names, { loss: 0, delayMs: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#commands.close().catch(() => {}); // it may have ended
    await this.#switch.status;
    await this.#answers.cancel();
    // Some may not have been made.
    for (const name of this.#names) {
      await new Deno.Command("ip", { args: ["netns", "del", this.#namespaceOf(name)], stderr: "null" }).output();
    }
  }

  /** Gives each machine its link to the switch; the last one stays here. */
  async #plugIn(): Promise<void> {
    await run("ip", "addr", "add", `${this.#prefix}.1/24`, "dev", this.#linkOf(HERE));
    await run("ip", "link", "set", "dev", this.#linkOf(HERE), "up");
    for (const name of this.#names) {
      const namespace = this.#namespaceOf(name);
      await run("ip", "netns", "add", namespace);
      await run("ip", "link", "set", "dev", this.#linkOf(name), "netns", namespace, "name", "eth0");
      await run("ip", "-n", namespace, "addr", "add", `${this.addressOf(name)}/24`, "dev", "eth0");
      await run("ip", "-n", namespace, "link", "set", "eth0", "up");
      await run("ip", "-n", namespace, "link", "set", "lo", "up");
    }
  }

  async #answered(answer: string): Promise<void> {
    const { value } = await within(`the switch says ${answer}`, this.#answers.read());
    assert(value?.trim() === answer, `the switch says ${value ?? "nothing"}`);
  }

  #namespaceOf(name: string): string {
    return `gid-${this.#id}-${name}`;
  }

  /** An interface has a name of at most 15 characters. */
  #linkOf(name: string): string {
    return `gid${this.#id}-${name}`;
  }
}

/** The name of this machine on the switch. */
const HERE = "here";

/** Why there can be no such network here; `undefined` if there can. */
export async function whyNoMachines(): Promise<string | undefined> {
  try {
    await using network = await MachineNetwork.make(["a"]);
    await network.cutOff(["a"]);
    return undefined;
  } catch (error) {
    return `machines of their own need root, iproute2 and /dev/net/tun: ${(error as Error).message}`;
  }
}

async function run(...words: string[]): Promise<void> {
  const [command, ...args] = words;
  const { success, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  assert(success, `${words.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
