/** What real PostgreSQL refuses, and what the store says of it: each message names what to do, which then helps. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StoreError } from "../../mod.ts";
import { PostgresReservationStore } from "../../postgres_store.ts";
import { PostgresServersStore } from "../../lib/reservation/stores/postgres_servers_store.ts";
import { CertificateAuthority } from "../../testing/certificates.ts";
import { hasPostgres, PostgresCluster } from "../../testing/postgres_cluster.ts";
import { until } from "../../testing/within.ts";

if (!hasPostgres) console.warn("PostgreSQL is not installed (postgresql): its refusals are not tested");

/** What there is no room for: of the longest records that there can be. */
const LONG = "x".repeat(16_000);

/** A store of a cluster, as another user, or with another end of the URL. */
async function openStore({ primary }: PostgresCluster, user: string, rest = "postgres"): Promise<PostgresServersStore> {
  return await PostgresServersStore.fromUrl(`postgres://${user}@127.0.0.1:${primary.port}/${rest}`);
}

/** Checks that all that a store can do is refused, and how. */
async function assertRefused(opening: Promise<PostgresServersStore>, message: string): Promise<void> {
  using store = await opening;
  for (const call of [() => store.read(7), () => store.compareAndSet(7, "a", "b"), () => store.list()]) {
    await assertRejects(call, StoreError, message);
  }
}

(hasPostgres ? describe : describe.skip)("PostgresServersStore, refused", () => {
  it("serves a user with the password, and nobody else", async () => {
    await using cluster = await PostgresCluster.start();
    const { primary } = cluster;
    await primary.sql("CREATE USER u PASSWORD 'p'");
    await primary.sql("CREATE USER stranger PASSWORD 'p'");
    await primary.sql("CREATE SCHEMA ids AUTHORIZATION u");
    await primary.letIn(
      "host all stranger all reject",
      "host all u all scram-sha-256",
      "host all nobody all scram-sha-256",
    );
    using store = await openStore(cluster, "u:p", "postgres?table=ids.reservation");
    assert(await store.compareAndSet(7, undefined, "a"));
    const path = `${cluster.path}/credentials`;
    await Deno.writeTextFile(path, "u:p\n", { mode: 0o600 });
    using same = await openStore(cluster, "u", `postgres?table=ids.reservation&credentials=${path}`);
    assertEquals(await same.list(), new Map([[7, "a"]]));

    for (const user of ["u:wrong", "u", "nobody:p"]) {
      await assertRefused(openStore(cluster, user), "; correct the user and the password");
    }
    await assertRefused(openStore(cluster, "stranger:p"), "let this user in");
    await assertRefused(openStore(cluster, "u:p", "other"), "; make the database (createdb), or name another one");
    await assertRefused(openStore(cluster, "u:p"), "; have somebody who may run: CREATE TABLE IF NOT EXISTS");
    await assertRefused(
      openStore(cluster, "postgres", "postgres?table=none.reservation"),
      "; make the schema (CREATE SCHEMA), or name another table",
    );
  });

  it("says which server is a standby, or read-only", async () => {
    await using cluster = await PostgresCluster.start({ standbys: [{ isSynchronous: true }] });
    const [standby] = cluster.standbys;
    await assertRefused(
      PostgresServersStore.fromUrl(`postgres://postgres@127.0.0.1:${standby.port}/postgres`),
      `PostgreSQL at 127.0.0.1:${standby.port} does not serve: it is a standby; name the primary, or all servers`,
    );
    await cluster.primary.kill();
    await assertRefused(
      PostgresServersStore.fromUrl(cluster.url),
      `127.0.0.1:${cluster.primary.port} does not serve: `,
    );
  });

  it("says that a primary is read-only", async () => {
    await using cluster = await PostgresCluster.start();
    using store = await openStore(cluster, "postgres");
    assert(await store.compareAndSet(7, undefined, "a"));
    await cluster.primary.sql("ALTER USER postgres SET default_transaction_read_only = on");
    using other = await openStore(cluster, "postgres");
    await assertRejects(() => other.compareAndSet(7, "a", "b"), StoreError, "; it is a standby or read-only");
    assertEquals(await other.read(7), "a");
  });

  it("says that there are too many connections, and goes on when there are fewer", async () => {
    await using cluster = await PostgresCluster.start();
    await cluster.primary.sql("CREATE USER u SUPERUSER CONNECTION LIMIT 5");
    await cluster.primary.sql("ALTER USER u NOSUPERUSER");
    using stores = new DisposableStack();
    for (let i = 0; i < 5; i++) await stores.use(await openStore(cluster, "u")).now();
    using store = await openStore(cluster, "u");
    await assertRejects(() => store.now(), StoreError, "; raise the server's max_connections (each node has one");
    stores.dispose();
    await store.now();
  });

  it("says that somebody cancelled a statement, and that one has waited too long for a lock", async () => {
    await using cluster = await PostgresCluster.start();
    const { primary } = cluster;
    using store = await openStore(cluster, "postgres");
    assert(await store.compareAndSet(7, undefined, "a"));
    const locked = primary.sql("BEGIN; LOCK global_id_reservation; SELECT pg_sleep(60)").catch(() => {});
    const waiting = "FROM pg_stat_activity WHERE application_name = 'global-id' AND wait_event_type = 'Lock'";
    const change = () => store.compareAndSet(7, "a", "b");
    await until("the table is locked", async () => {
      return await primary.sql("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'") !== "0";
    });
    const cancelled = assertRejects(change, StoreError, "; somebody cancelled the statement");
    await until("it is cancelled", async () => (await primary.sql(`SELECT pg_cancel_backend(pid) ${waiting}`)) !== "");
    await cancelled;
    await assertRejects(change, StoreError, "; another session holds it (see pg_stat_activity)");
    await primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'");
    await locked;
    assert(await change());
  });

  it("uses TLS and client certificates, and says which one is missing or not trusted", async () => {
    await using cluster = await PostgresCluster.start();
    const { primary, path } = cluster;
    const authority = await CertificateAuthority.make(`${path}/ca`, "/O=ours");
    const other = await CertificateAuthority.make(`${path}/other`, "/O=theirs");
    const server = await authority.sign("server", "/CN=postgres");
    const client = await authority.sign("client", "/CN=u");
    await primary.sql("CREATE USER u SUPERUSER");
    await assertRefused(
      openStore(cluster, "u", `postgres?sslmode=verify-full&ca=${authority.cert}`),
      "; switch TLS on in the server (ssl = on), or leave out sslmode",
    );
    await primary.serveTls({ ...server, ca: authority.cert });
    await primary.letIn("hostssl all u all cert", "host all u all reject");

    const open = (rest: string, host = "127.0.0.1") =>
      PostgresServersStore.fromUrl(`postgres://u@${host}:${primary.port}/postgres?sslmode=verify-full${rest}`);
    const own = `&cert=${client.cert}&key=${client.key}`;
    using store = await open(`&ca=${authority.cert}${own}`);
    assert(await store.compareAndSet(7, undefined, "a"));
    await assertRefused(open(own), "; give the certificate of the authority that signed the server's (ca)");
    await assertRefused(open(`&ca=${other.cert}${own}`), "; give the certificate of the authority");
    await assertRefused(
      open(`&ca=${authority.cert}${own}`, "localhost"),
      "; make the server a certificate with this name or address as a subjectAltName",
    );
    await assertRefused(open(`&ca=${authority.cert}`), "; let this user in from this address");
    await assertRefused(openStore(cluster, "u"), "; if the server asks for TLS, add sslmode=verify-full");
  });

  it("says that there is no room, and goes on when there is", async () => {
    await using cluster = await PostgresCluster.start();
    const { primary } = cluster;
    await using disk = await SmallDisk.mount(`${cluster.path}/disk`);
    if (disk.isMounted === false) return console.warn("no file system can be mounted: a full disk is not tested");
    await primary.sql(`CREATE TABLESPACE small LOCATION '${disk.path}'`);
    await primary.sql("CREATE TABLE global_id_reservation (node_id integer PRIMARY KEY, record text) TABLESPACE small");
    await primary.sql("ALTER TABLE global_id_reservation ALTER record SET STORAGE EXTERNAL");
    using store = await openStore(cluster, "postgres");
    await assertRejects(
      async () => {
        for (let nodeId = 0;; nodeId++) await store.compareAndSet(nodeId, undefined, LONG);
      },
      StoreError,
      "; make room on the server's disk",
    );
    await disk.grow();
    assert(await store.compareAndSet(1000, undefined, LONG));
  });
});

describe("PostgresReservationStore, with a query function that never returns", () => {
  it("fails after 10 s", async () => {
    const store = new PostgresReservationStore({ query: () => new Promise(() => {}) });
    await assertRejects(() => store.read(7), StoreError, "PostgreSQL did not answer within 10 s");
  });
});

/** A file system of 1 MiB that any user may write to. */
class SmallDisk implements AsyncDisposable {
  readonly path: string;
  readonly isMounted: boolean;

  private constructor(path: string, isMounted: boolean) {
    this.path = path;
    this.isMounted = isMounted;
  }

  static async mount(path: string): Promise<SmallDisk> {
    await Deno.mkdir(path);
    const args = ["-t", "tmpfs", "-o", "size=1m,mode=700,uid=postgres,gid=postgres", "tmpfs", path];
    const { success } = await new Deno.Command("mount", { args, stderr: "null" }).output();
    return new SmallDisk(path, success);
  }

  async grow(): Promise<void> {
    await new Deno.Command("mount", { args: ["-o", "remount,size=8m", this.path] }).output();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Lazily: the server has it open until its end.
    if (this.isMounted) await new Deno.Command("umount", { args: ["--lazy", this.path] }).output();
  }
}
