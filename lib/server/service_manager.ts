import { readEnv } from "../base/read_env.ts";
import { messageOf } from "../base/message_of.ts";
import { sendDatagram } from "../libc/unix_datagram.ts";
import { monotonicUsec } from "../libc/monotonic_clock.ts";
import type { ServeLog } from "./serve_log.ts";

/**
 * What a service manager such as systemd is told: see sd_notify(3). Each message is a datagram to the Unix socket that
 * the environment variable NOTIFY_SOCKET names; without that variable, all methods do nothing. A message that cannot be
 * sent changes nothing but the manager's knowledge.
 */
export class ServiceManager {
  readonly #log: ServeLog;
  readonly #env: typeof readEnv;
  readonly #socket: string | undefined;
  #isReady = false;
  #hasWarned = false;

  /**
   * Makes the side of this process.
   *
   * @param log Receives a line if the service manager cannot be told.
   * @param env Reads an environment variable.
   */
  constructor(log: ServeLog, env: typeof readEnv = readEnv) {
    this.#log = log;
    this.#env = env;
    this.#socket = env("NOTIFY_SOCKET");
  }

  /**
   * Says that this process serves.
   *
   * @param status What it serves, in a line.
   */
  ready(status: string): void {
    this.#isReady = true;
    this.#tell(`READY=1\nSTATUS=${status}`);
  }

  /** Says that this process is about to end. */
  stopping(): void {
    this.#tell("STOPPING=1");
  }

  /**
   * Says that this process reloads, then that it has done so; nothing if it does not serve yet.
   *
   * @param reload The reload. It must not fail.
   */
  async reloading(reload: () => Promise<void>): Promise<void> {
    if (!this.#isReady) return await reload();
    if (this.#socket !== undefined) this.#tell(`RELOADING=1\nMONOTONIC_USEC=${monotonicUsec()}`);
    await reload();
    this.#tell("READY=1");
  }

  /**
   * Says again and again, if the service manager has a watchdog, that this process is well: twice in the time after
   * which the watchdog would end it.
   *
   * @param isWell Whether it is. As long as it is not, the watchdog hears nothing.
   * @returns Ends that when it is disposed of.
   */
  watch(isWell: () => Promise<boolean>): Disposable {
    const watch = new DisposableStack();
    const usec = Number(this.#env("WATCHDOG_USEC"));
    const isForAnother = ![undefined, String(Deno.pid)].includes(this.#env("WATCHDOG_PID"));
    if (this.#socket === undefined || isForAnother || !(usec > 0)) return watch;
    const timer = setInterval(async () => {
      if (await isWell()) this.#tell("WATCHDOG=1");
    }, usec / 2000);
    watch.defer(() => clearInterval(timer));
    return watch;
  }

  #tell(message: string): void {
    if (this.#socket === undefined) return;
    try {
      sendDatagram(this.#socket, message);
    } catch (error) {
      if (!this.#hasWarned) this.#log.warn(`the service manager cannot be told anything: ${messageOf(error)}`);
      this.#hasWarned = true;
    }
  }
}
