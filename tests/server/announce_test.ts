import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { announce } from "../../lib/server/announce.ts";
import { planWorkers } from "../../lib/server/plan_workers.ts";
import type { NodeOptions } from "../../lib/server/serve_options.ts";
import { NODE_DEFAULTS } from "./serve_defaults.ts";

/** The lines about a server with these options. */
function linesOf(options: Partial<NodeOptions>, workerCount: number, cpus: number[] | undefined): string[] {
  const all = { ...NODE_DEFAULTS, ...options };
  const backend = all.backend ?? "reuseport";
  const lines: string[] = [];
  const note = (line: string) => lines.push(line);
  const share = { kind: "pool" as const, path: "/p" };
  announce(all, planWorkers({ ...{ options: all, backend, workerCount, cpus, share }, access: {} }), {
    ...{ info: note, warn: note },
  });
  return lines;
}

describe("announce", () => {
  it("tells node, address, workers, capacity, and a command line to try", () => {
    assertEquals(linesOf({}, 2, [0, 1]), [
      "node 0 on 127.0.0.1 udp port 9999: 2 workers (reuseport, on CPUs 0, 1), up to 131,072 ids a second (layout default)",
      "try it: deno task id --port 9999",
    ]);
  });

  it("tells the port of every worker with listen-datagram", () => {
    assertEquals(linesOf({ backend: "listen-datagram", hostnames: ["192.0.2.1"], nodeId: 7 }, 2, undefined), [
      "node 7 on 192.0.2.1 udp port 9999, 10000: 2 workers (listen-datagram, not pinned), " +
      "up to 131,072 ids a second (layout default)",
      "try it: deno task id --host 192.0.2.1 --port 9999,10000",
    ]);
  });

  it("tells all addresses", () => {
    assertEquals(linesOf({ hostnames: ["192.0.2.1", "127.0.0.1"] }, 2, [0, 1]), [
      "node 0 on 192.0.2.1, 127.0.0.1 udp port 9999: 4 workers (reuseport, on CPUs 0, 1), " +
      "up to 131,072 ids a second (layout default)",
      "try it: deno task id --port 9999",
    ]);
  });

  it("quotes a key file whose path a shell would split", () => {
    assertEquals(linesOf({ keyFile: "/a key" }, 1, [3])[1], "try it: deno task id --port 9999 --key-file '/a key'");
    assertEquals(linesOf({ keyFile: "/a'key" }, 1, [3])[1].split(" ").at(-1), `'/a'\\''key'`);
    assertEquals(linesOf({ keyFile: "~/.global-id/key" }, 1, [3])[1].split(" ").at(-1), "~/.global-id/key");
  });

  it("tells the cluster that signed requests are for, unless it is the default", () => {
    const cluster = "a&b";
    assertEquals(linesOf({ cluster }, 1, [3])[1], "try it: deno task id --port 9999");
    assertEquals(
      linesOf({ keyFile: "/k", cluster }, 1, [3])[1],
      "try it: deno task id --port 9999 --key-file /k --cluster 'a&b'",
    );
  });
});
