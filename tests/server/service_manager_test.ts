import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { monotonicUsec } from "../../lib/libc/monotonic_clock.ts";
import { ServiceManager } from "../../lib/server/service_manager.ts";
import { NotifySocket } from "../../testing/notify_socket.ts";
import { until } from "../../testing/within.ts";

/** Collects warnings. */
function makeLog() {
  const lines: string[] = [];
  return { lines, info: () => {}, warn: (line: string) => void lines.push(line) };
}

const variables = (env: Record<string, string>) => (name: string): string | undefined => env[name];

/** A service manager's socket, and this process's side of it. */
function makeManager(env: Record<string, string> = {}) {
  const name = `@global-id-${crypto.randomUUID()}`;
  const log = makeLog();
  const manager = new ServiceManager(log, variables({ NOTIFY_SOCKET: name, ...env }));
  return { socket: new NotifySocket(name), manager, log };
}

describe("ServiceManager", () => {
  it("tells when this process is ready, reloads and stops", async () => {
    const { socket, manager } = makeManager();
    await using _ = socket;
    manager.ready("node 0");
    const before = monotonicUsec();
    let saidBefore = 0;
    await manager.reloading(async () => {
      await socket.says(/RELOADING/);
      saidBefore = socket.messages.length;
    });
    manager.stopping();
    await socket.says(/STOPPING/);
    const [ready, reloading, ...rest] = socket.messages;
    assertEquals([ready, ...rest], ["READY=1\nSTATUS=node 0", "READY=1", "STOPPING=1"]);
    assertEquals(saidBefore, 2);
    const usec = BigInt(/^RELOADING=1\nMONOTONIC_USEC=([0-9]+)$/.exec(reloading)?.[1] ?? "");
    assert(before <= usec && usec <= monotonicUsec());
  });

  it("tells of no reload before this process is ready", async () => {
    const { socket, manager } = makeManager();
    await using _ = socket;
    let isReloaded = false;
    await manager.reloading(async () => void (isReloaded = await true));
    manager.stopping();
    await socket.says(/STOPPING/);
    assertEquals([isReloaded, ...socket.messages], [true, "STOPPING=1"]);
  });

  it("tells the watchdog that this process is well, and nothing when it is not", async () => {
    const { socket, manager } = makeManager({ WATCHDOG_USEC: "20000", WATCHDOG_PID: String(Deno.pid) });
    await using _ = socket;
    let [isWell, asked] = [false, 0];
    using _watch = manager.watch(() => Promise.resolve(++asked > 0 && isWell));
    await until("it was asked three times", () => asked >= 3);
    assertEquals(socket.messages, []);
    isWell = true;
    await socket.says(/^WATCHDOG=1$/);
  });

  it("leaves a watchdog alone that is none, or another process's", () => {
    const envs: Record<string, string>[] = [{ WATCHDOG_USEC: "20000", WATCHDOG_PID: "1" }, { WATCHDOG_USEC: "0" }, {}];
    for (const env of envs) {
      const manager = new ServiceManager(makeLog(), variables({ NOTIFY_SOCKET: "@none", ...env }));
      manager.watch(() => Promise.reject(new Error("asked"))); // a timer would keep the test from ending
    }
  });

  it("does nothing without a service manager", async () => {
    const log = makeLog();
    const manager = new ServiceManager(log, () => undefined);
    manager.ready("node 0");
    manager.watch(async () => await true);
    let isReloaded = false;
    await manager.reloading(async () => void (isReloaded = await true));
    manager.stopping();
    assertEquals([isReloaded, ...log.lines], [true]);
  });

  it("warns once of a service manager that cannot be reached", () => {
    for (const socket of ["@nobody-listens", "vsock:2:3"]) {
      const log = makeLog();
      const manager = new ServiceManager(log, variables({ NOTIFY_SOCKET: socket }));
      manager.ready("node 0");
      manager.stopping();
      assertEquals(log.lines.length, 1);
      assertMatch(log.lines[0], /^the service manager cannot be told anything: .*(nobody-listens|vsock:2:3)/);
    }
  });
});
