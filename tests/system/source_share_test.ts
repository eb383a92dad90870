import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type LayoutName, LAYOUTS } from "../../lib/id/presets.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { isFull } from "../settings.ts";
import { GreedySource } from "./greedy_source.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const WORKERS = isFull ? 16 : 4;

/** How many ids of each tick there are. */
function countByTick(ids: bigint[], layout: LayoutName): number[] {
  const counts = new Map<number, number>();
  for (const id of ids) {
    const { tick } = LAYOUTS[layout].unpack(id);
    counts.set(tick, (counts.get(tick) ?? 0) + 1);
  }
  return [...counts.values()];
}

/** Flags for so many workers, and the addresses at which a source reaches each of them. */
function workersOf(backend: string): string[] {
  if (backend === "listen-datagram") return ["--backend", backend, "--workers", `${WORKERS}`];
  return Array.from({ length: WORKERS }, (_, i) => ["--host", `127.0.0.${i + 1}`]).flat().concat("--workers", "1");
}

function addressesOf(backend: string, server: ServerProcess): Deno.NetAddr[] {
  const address = (hostname: string, port: number) => ({ transport: "udp" as const, hostname, port });
  if (backend === "listen-datagram") return server.ports.map((port) => address("127.0.0.1", port));
  return Array.from({ length: WORKERS }, (_, i) => address(`127.0.0.${i + 1}`, server.ports[0]));
}

for (const backend of ["reuseport", "listen-datagram"]) {
  describe(`--source-share, ${backend}, a source that asks all of ${WORKERS} workers`, () => {
    it("gives it its share of the node's ids, to the last one", async () => {
      const flags = [...workersOf(backend), "--source-share", "1"];
      await using server = await ServerProcess.start({ flags });
      using source = new GreedySource("127.0.0.99");
      const counts = countByTick(await source.takeFor(2500, addressesOf(backend, server), 1000), "default");
      assertEquals(Math.max(...counts), 1310, `1 % of 131,072 in: ${counts}`);
    });
  });
}

describe("--source-share, reuseport, with ticks of 10 ms", () => {
  it("gives a source no more than its share of any tick", async () => {
    const flags = [...workersOf("reuseport"), "--source-share", "1", "--layout", "sonyflake"];
    await using server = await ServerProcess.start({ flags });
    using source = new GreedySource("127.0.0.99");
    const counts = countByTick(await source.takeFor(1500, addressesOf("reuseport", server), 1), "sonyflake");
    assert(counts.length > 10, `${counts.length} ticks`);
    assertEquals(Math.max(...counts), 2, `1 % of 256 in: ${counts}`);
  });
});

describe("--source-share, listen-datagram, with fewer ids than workers", () => {
  it("is refused, since some workers would have none", async () => {
    await using server = await ServerProcess.spawn({
      flags: ["--backend", "listen-datagram", "--workers", "3", "--source-share", "1", "--layout", "sonyflake"],
    });
    assertEquals((await server.ended()).code, 1);
    assertMatch(
      server.printed,
      /--source-share 1 leaves one address 2 ids of a tick, too few for 3 workers .*: take a higher share, fewer --workers, or --backend reuseport/,
    );
  });
});

/** Gives a machine a network of its own, all of whose addresses in a /48 are its own, and runs a command there. */
const WITH_PREFIX = `
  ip link set lo up || exit
  ip -6 route add local fd00:1:2::/48 dev lo || exit
  echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind || exit
  exec "$@"`;

async function canHaveNetworks(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  const args = ["-rn", "sh", "-c", WITH_PREFIX, "sh", "true"];
  const { success } = await new Deno.Command("unshare", { args, stdout: "null", stderr: "null" }).output()
    .catch(() => ({ success: false }));
  if (!success) console.warn("source_share_test: left out, since networks of its own need unshare, ip and IPv6");
  return success;
}

const test = await canHaveNetworks() ? it : it.skip;

describe("--source-prefix, a source that has a /56", () => {
  for (
    const [flags, share] of [[[], 1310], [
      ["--source-prefix", "60"],
      16 * 1310,
    ]] as const
  ) {
    test(`gets ${share} ids of a tick with ${flags.join(" ") || "the default"}`, async () => {
      const program = [Deno.execPath(), "run", "--quiet", "-A", "tests/system/prefix_process.ts", ...flags];
      const args = ["-rn", "sh", "-c", WITH_PREFIX, "sh", ...program];
      const { stdout, stderr } = await new Deno.Command("unshare", { args, cwd: ROOT }).output();
      const printed = new TextDecoder().decode(stdout);
      assertEquals(printed, `${share}\n`, new TextDecoder().decode(stderr));
    });
  }
});
