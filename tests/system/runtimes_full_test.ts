import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { EtcdCluster, hasEtcd } from "../../testing/etcd_cluster.ts";
import { hasPostgres, PostgresCluster } from "../../testing/postgres_cluster.ts";
import { ServerProcess } from "../../testing/server_process.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";
import { NodeServer } from "./node_server.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const SCENARIO = "tests/runtimes/scenario.ts";
const CLIENT_SCENARIO = "tests/runtimes/client_scenario.ts";
const FAILOVER_SCENARIO = "tests/runtimes/failover_scenario.ts";
const ETCD_SCENARIO = "tests/runtimes/etcd_scenario.ts";
const POSTGRES_SCENARIO = "tests/runtimes/postgres_scenario.ts";

/** Where the runtimes are kept from one run to the next: they have 600 MB. */
const RUNTIMES = `${ROOT}.tmp/runtimes`;

/** Pinned, so that the test means the same every day. */
const PACKAGES = {
  "node 20": "node20@npm:node@20.20.2",
  "node 22": "node22@npm:node@22.23.3",
  "node 24": "node24@npm:node@24.21.0",
  "bun": "bun@1.4.5",
};

async function run(command: string, args: string[], cwd = ROOT): Promise<{ code: number; out: string }> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd, env: { NO_COLOR: "1" } }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout) + (code === 0 ? "" : text.decode(stderr)) };
}

let installed: Promise<void> | undefined;

/** Installs the runtimes, once. */
function installRuntimes(): Promise<void> {
  installed ??= (async () => {
    await Deno.mkdir(RUNTIMES, { recursive: true });
    const packages = Object.values(PACKAGES);
    const args = ["install", "--no-audit", "--no-fund", "--no-save", "--prefix", RUNTIMES, ...packages];
    const { code, out } = await run("npm", args);
    assertEquals(code, 0, out);
  })();
  return installed;
}

async function bundle(scenario: string, platform: "browser" | "deno", path: string): Promise<void> {
  const args = ["bundle", "--quiet", "--platform", platform, "-o", path, scenario];
  const { code, out } = await run(Deno.execPath(), args);
  assertEquals(code, 0, out);
}

/** Runs a program in each of the runtimes, side by side; it is to print `ok` and a number. */
async function runInEach(program: string, ...args: string[]): Promise<void> {
  await Promise.all(
    Object.keys(PACKAGES).map(async (runtime) => {
      const command = runtime === "bun" ? "bun/bin/bun.exe" : `${runtime.replace(" ", "")}/bin/node`;
      const { code, out } = await run("timeout", ["60", `${RUNTIMES}/node_modules/${command}`, program, ...args]);
      assertEquals(code, 0, `${runtime}: ${out}`);
      assertMatch(out, /^ok [0-9]+\n$/, runtime);
    }),
  );
}

/** Serves the page on a name that is not localhost, so that the browser takes it for one without a secure context. */
function servePage(bundlePath: string): Deno.HttpServer<Deno.NetAddr> {
  const page = `<script type="module">
    addEventListener("unhandledrejection", ({ reason }) => document.body.textContent = "failed: " + reason);
    console.log = (text) => document.body.textContent = text;
    await import("/scenario.mjs");
  </script><body></body>`;
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ url }) => {
    if (!url.endsWith(".mjs")) return new Response(page, { headers: { "content-type": "text/html" } });
    return new Response(await Deno.readTextFile(bundlePath), { headers: { "content-type": "text/javascript" } });
  });
}

async function isInstalled(command: string): Promise<boolean> {
  return (await run("sh", ["-c", `command -v ${command}`])).code === 0;
}

if (!hasEtcd) console.warn("etcd is not installed: what its store does in other runtimes is not tested");
if (!hasPostgres) console.warn("PostgreSQL is not installed: what its store does in other runtimes is not tested");

const hasChromium = await isInstalled("chromium");
if (!hasChromium) console.warn("chromium is not installed: what a browser does is not tested");

describe("IdGenerator with a store, past its first reservation", () => {
  it("runs in Node 20, 22 and 24, and in Bun", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/scenario.mjs`;
    await Promise.all([installRuntimes(), bundle(SCENARIO, "browser", path)]);
    await runInEach(path);
  });

  it("runs in Node 22 and 24 from its source, whose types these erase", async () => {
    await using temp = await TempDir.make();
    await run("cp", ["-r", "--parents", "mod.ts", "lib", SCENARIO, temp.path]);
    await Deno.writeTextFile(`${temp.path}/package.json`, '{ "type": "module" }');
    const { imports } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
    const [, dependency] = imports["@scure/base"].split("npm:");
    const install = await run("npm", ["install", "--no-audit", "--no-fund", "--prefix", temp.path, dependency]);
    assertEquals(install.code, 0, install.out);
    await installRuntimes();
    await Promise.all(["node22", "node24"].map(async (runtime) => {
      const node = `${RUNTIMES}/node_modules/${runtime}/bin/node`;
      const { code, out } = await run("timeout", ["60", node, SCENARIO], temp.path);
      assertEquals(code, 0, `${runtime}: ${out}`);
      assertMatch(out, /^ok [0-9]+\n$/, runtime);
    }));
  });

  (hasChromium ? it : it.skip)("runs in Chromium, on a page without a secure context", async () => {
    await using temp = await TempDir.make();
    const path = `${temp.path}/scenario.mjs`;
    await bundle(SCENARIO, "browser", path);
    await using server = servePage(path);
    const { code, out } = await run("timeout", [
      ...["60", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=30000", "--dump-dom"],
      ...[`--user-data-dir=${temp.path}/profile`, "--host-resolver-rules=MAP ids.test 127.0.0.1"],
      `http://ids.test:${server.addr.port}/`,
    ]);
    assertEquals(code, 0, out);
    assert(/<body>ok [0-9]+<\/body>/.test(out), out);
  });
});

describe("IdClient", () => {
  for (const hostname of ["127.0.0.1", "localhost"]) {
    it(`gets ids in Node 20, 22 and 24, in Bun, and in Deno without --unstable-net, from ${hostname}`, async () => {
      await using temp = await TempDir.make();
      await using server = await ServerProcess.start({ flags: ["--workers", "1", "--layout", "wide"] });
      const path = `${temp.path}/client_scenario.mjs`;
      await Promise.all([installRuntimes(), bundle(CLIENT_SCENARIO, "deno", path)]);
      const args = [hostname, String(server.ports[0])];
      await runInEach(path, ...args);
      const flags = ["run", "--no-config", "--no-prompt", "--allow-net"];
      const { code, out } = await run(Deno.execPath(), [...flags, path, ...args]);
      assertEquals([code, out], [0, "ok 11000\n"]);
    });
  }

  it("goes on to the next server in Node 20, 22 and 24, in Bun, and in Deno without --unstable-net", async () => {
    await using temp = await TempDir.make();
    await using first = await NodeServer.start(1);
    await using second = await NodeServer.start(2);
    const path = `${temp.path}/failover_scenario.mjs`;
    await Promise.all([installRuntimes(), bundle(FAILOVER_SCENARIO, "deno", path)]);
    const ready = `${temp.path}/ready`;
    await Deno.mkdir(ready);
    const args = [ready, ...[first, second].map(({ port }) => `127.0.0.1:${port}`)];
    const flags = ["run", "--no-config", "--no-prompt", "--allow-net", `--allow-write=${ready}`];
    const programs = Promise.all([
      runInEach(path, ...args),
      run("timeout", ["60", Deno.execPath(), ...flags, path, ...args])
        .then(({ code, out }) => assertMatch(`${code} ${out}`, /^0 ok [0-9]+\n$/)),
    ]);
    const endFirst = async () => {
      const isReady = () => [...Deno.readDirSync(ready)].length === Object.keys(PACKAGES).length + 1;
      await until("all have ids of the first server", isReady);
      await second.restart();
      await first.kill();
    };
    await second.kill(); // so that all begin with the first
    await Promise.all([programs, endFirst()]);
  });
});

(hasEtcd ? describe : describe.skip)("EtcdReservationStore", () => {
  it("runs in Node 20, 22 and 24, and in Bun, with a member that is away", async () => {
    await using temp = await TempDir.make();
    await using cluster = await EtcdCluster.start();
    await cluster.members[0].kill();
    const path = `${temp.path}/etcd_scenario.mjs`;
    await Promise.all([installRuntimes(), bundle(ETCD_SCENARIO, "deno", path)]);
    await runInEach(path, ...cluster.endpoints);
  });
});

(hasPostgres ? describe : describe.skip)("PostgresReservationStore", () => {
  it("runs in Node 20, 22 and 24, and in Bun, with npm:pg", async () => {
    await using temp = await TempDir.make();
    await using cluster = await PostgresCluster.start();
    const path = `${temp.path}/postgres_scenario.mjs`;
    await Promise.all([installRuntimes(), bundle(POSTGRES_SCENARIO, "deno", path)]);
    await runInEach(path, `${cluster.primary.port}`);
  });
});
