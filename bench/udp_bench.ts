/**
 * The cost of an id over UDP, from a real server with a worker on every CPU: `deno task bench`.
 *
 * The client is `IdClient` in this process. The layout is Twitter's, which has 4,096,000 ids a second.
 */
import { IdClient } from "../client.ts";
import { ServerProcess } from "../testing/server_process.ts";

const { state } = await Deno.permissions.query({ name: "run" });
if (state === "granted") {
  const server = await ServerProcess.start({ flags: ["--layout", "twitter"] });
  addEventListener("unload", () => server.kill("SIGTERM"));
  const client = new IdClient({ port: server.ports });
  const prefetching = new IdClient({ port: server.ports, prefetch: 1000 });

  Deno.bench("nextId()", { group: "UDP", baseline: true }, async () => void await client.nextId());
  Deno.bench("64 times nextId() at once", { group: "UDP" }, async () => {
    await Promise.all(Array.from({ length: 64 }, () => client.nextId()));
  });
  Deno.bench("nextIds(100)", { group: "UDP" }, async () => void await client.nextIds(100));
  Deno.bench("nextId(), 1000 prefetched", { group: "UDP" }, async () => void await prefetching.nextId());
} else {
  console.log("The UDP benchmark starts a server, for which it needs permissions: run `deno task bench` for both.");
}
