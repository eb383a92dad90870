/** What real etcd refuses, and what the store says of it: each message names what to do, which then helps. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StoreError } from "../../mod.ts";
import { EtcdReservationStore } from "../../etcd_store.ts";
import { type Certificate, CertificateAuthority } from "../../testing/certificates.ts";
import { CuttingProxy } from "../../testing/cutting_proxy.ts";
import { EtcdCluster, hasEtcd } from "../../testing/etcd_cluster.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { until } from "../../testing/within.ts";

if (!hasEtcd) {
  console.warn("etcd and etcdctl are not installed (etcd-server, etcd-client): its refusals are not tested");
}

/** How long a token of the guarded cluster lasts that nobody uses, in s, and when it is gone at the latest, in ms. */
const TOKEN_S = 2;
const EXPIRED_MS = 4000;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A cluster of one that knows the user `u` with the password `p`, who may use the prefix `global-id/`. */
async function startGuarded(): Promise<EtcdCluster> {
  const cluster = await EtcdCluster.start({ size: 1, flags: ["--auth-token-ttl", `${TOKEN_S}`] });
  for (const user of ["root:r", "u:p", "stranger:s"]) await cluster.ctl("user", "add", user);
  await cluster.ctl("role", "add", "global-id");
  await cluster.ctl("role", "grant-permission", "global-id", "--prefix=true", "readwrite", "global-id/");
  await cluster.ctl("user", "grant-role", "u", "global-id");
  await cluster.ctl("user", "grant-role", "root", "root");
  await cluster.ctl("auth", "enable");
  return cluster;
}

/** A store of a cluster, as the server opens it, with a file of credentials. */
async function openStore(
  cluster: EtcdCluster,
  credentials: string,
  [endpoint] = cluster.endpoints,
): Promise<EtcdReservationStore> {
  const path = `${cluster.path}/credentials`;
  await Deno.writeTextFile(path, credentials);
  await Deno.chmod(path, 0o600);
  const hosts = endpoint.replace("http", "etcd");
  return await EtcdReservationStore.fromUrl(`${hosts}/global-id?credentials=${path}`);
}

(hasEtcd ? describe : describe.skip)("EtcdReservationStore, refused", () => {
  it("serves a user who has the permission, and nobody else", async () => {
    await using cluster = await startGuarded();
    using store = await openStore(cluster, "u:p\n");
    assert(await store.compareAndSet(7, undefined, "a"));
    assertEquals(await store.list(), new Map([[7, "a"]]));
    await store.now();

    const refused = async (credentials: string, message: string) => {
      using store = await openStore(cluster, credentials);
      for (const call of [() => store.read(7), () => store.compareAndSet(7, "a", "b"), () => store.list()]) {
        await assertRejects(call, StoreError, message);
      }
    };
    await refused("u:wrong", "authentication failed, invalid user ID or password; correct USER:PASSWORD");
    await refused("nobody:p", "authentication failed, invalid user ID or password; correct USER:PASSWORD");
    await refused("stranger:s", "permission denied; grant the user's role readwrite on the prefix");
    using anonymous = new EtcdReservationStore({ endpoints: cluster.endpoints });
    await assertRejects(() => anonymous.read(7), StoreError, "user name is empty; name a file with one line");
    assertEquals(await store.read(7), "a");
  });

  it("goes on when its token has expired", async () => {
    await using cluster = await startGuarded();
    let tokens = 0;
    await using proxy = new CuttingProxy(Number(new URL(cluster.endpoints[0]).port), (reply) => {
      if (reply.includes('"token":')) tokens++;
      return false;
    });
    using store = await openStore(cluster, "u:p", [`http://${proxy.host}`]);
    let record = "a";
    assert(await store.compareAndSet(7, undefined, record));
    await until("the store has asked for a new token", async () => {
      await wait(EXPIRED_MS);
      assert(await store.compareAndSet(7, record, record += "a"));
      return tokens > 1;
    });
  });

  it("goes on when etcd has lost its token, and when users and roles have changed", async () => {
    await using cluster = await startGuarded();
    using store = await openStore(cluster, "u:p");
    assert(await store.compareAndSet(7, undefined, "a"));
    await cluster.ctl("--user", "root:r", "role", "add", "other");
    assert(await store.compareAndSet(7, "a", "b"));
    // Tokens are in the memory of the member.
    await cluster.members[0].kill();
    cluster.members[0].start();
    assert(await store.compareAndSet(7, "b", "c"));
  });

  it("says that users are not enabled", async () => {
    await using cluster = await EtcdCluster.start({ size: 1 });
    using store = await openStore(cluster, "u:p");
    await assertRejects(
      () => store.read(7),
      StoreError,
      "authentication is not enabled; enable it (etcdctl auth enable)",
    );
  });

  it("says how to mend a full quota, and goes on when that is done", async () => {
    await using cluster = await EtcdCluster.start({ size: 1, flags: ["--quota-backend-bytes", "1000000"] });
    using store = new EtcdReservationStore({ endpoints: cluster.endpoints });
    let [record, next]: (string | undefined)[] = [];
    const error = await assertRejects(
      async () => {
        while (true) {
          next = crypto.randomUUID().repeat(400);
          if (await store.compareAndSet(7, record, next)) record = next;
        }
      },
      StoreError,
      "mvcc: database space exceeded; its quota is full: run etcdctl compact REVISION, etcdctl defrag",
    );
    assert(error.message.includes("--auto-compaction-retention=5m"));
    // etcd makes the change that fills its quota, and yet refuses it, if its database has grown since it looked.
    const kept = await store.read(7);
    assert(kept === record || kept === next, "there is another record");
    await cluster.ctl("compact", `${store.history?.revision}`);
    await cluster.ctl("defrag");
    await cluster.ctl("alarm", "disarm");
    assert(await store.compareAndSet(7, kept, "a"));
  });

  it("uses TLS and client certificates, and says which one is missing or not trusted", async () => {
    await using temp = await TempDir.make();
    const authority = await CertificateAuthority.make(`${temp.path}/ca`, "/O=ours");
    const other = await CertificateAuthority.make(`${temp.path}/other`, "/O=theirs");
    const server = await authority.sign("server", "/CN=etcd");
    const client = await authority.sign("client", "/O=global-id");
    const named = await authority.sign("named", "/CN=u");
    const certificates = { ...server, ca: authority.cert };
    const asked = ["&ca=", authority.cert, ...of(client)].join("");
    await using cluster = await EtcdCluster.start({ size: 1, certificates, client, flags: ["--client-cert-auth"] });
    const [host] = cluster.endpoints.map((endpoint) => endpoint.replace("https://", ""));

    const open = (query: string, scheme = "etcds", at = host) =>
      EtcdReservationStore.fromUrl(`${scheme}://${at}/global-id?${query.slice(1)}`);
    const refused = async (opening: Promise<EtcdReservationStore>, message: string) => {
      using store = await opening;
      await assertRejects(() => store.read(7), StoreError, message);
    };
    using store = await open(asked);
    assert(await store.compareAndSet(7, undefined, "a"));
    await refused(open(["", ...of(client)].join("")), "UnknownIssuer; give the certificate of the authority");
    await refused(open(`&ca=${other.cert}`), "UnknownIssuer; give the certificate of the authority");
    await refused(open(`&ca=${authority.cert}`), "; give a client certificate that etcd trusts, and its key");
    await refused(
      open(asked, "etcds", host.replace("127.0.0.1", "localhost")),
      "make etcd a certificate with this name or address as a subjectAltName",
    );
    using found = await open(["&ca=", authority.cert, ...of(named)].join(""));
    assertEquals(await found.read(7), "a");
    await cluster.ctl("user", "add", "root:r");
    await cluster.ctl("user", "grant-role", "root", "root");
    await cluster.ctl("auth", "enable");
    await refused(
      open(["&ca=", authority.cert, ...of(named)].join("")),
      "make a client certificate without a common name",
    );
  });

  it("says that there is no TLS", async () => {
    await using cluster = await EtcdCluster.start({ size: 1 });
    using store = new EtcdReservationStore({ endpoints: [cluster.endpoints[0].replace("http", "https")] });
    await assertRejects(
      () => store.read(7),
      StoreError,
      "see whether it runs there, and whether with TLS (etcds://) or without (etcd://)",
    );
  });
});

function of({ cert, key }: Certificate): string[] {
  return [`&cert=${cert}`, `&key=${key}`];
}
