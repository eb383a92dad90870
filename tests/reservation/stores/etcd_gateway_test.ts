import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StoreError } from "../../../mod.ts";
import { EtcdGateway } from "../../../lib/reservation/stores/_etcd_gateway.ts";
import { refusal, ScriptedMember } from "./scripted_member.ts";

const CREDENTIALS = { user: "u", password: "p" };

function gatewayTo(endpoint: string, credentials?: typeof CREDENTIALS): EtcdGateway {
  return new EtcdGateway([endpoint], credentials, fetch);
}

/** A member with one user, whose tokens a test can let expire. */
class GuardedMember extends ScriptedMember {
  /** The number of the token that counts; the next authentication gives out the next one. */
  token = 0;
  /** How often it was asked for a token. */
  authentications = 0;

  constructor() {
    super((body, { url, headers }) => {
      const isAuthentication = url.endsWith("/v3/auth/authenticate");
      const given = headers.get("Authorization");
      // etcd refuses every request with a token that it does not know, and so the authentication as well.
      if (given !== null && given !== `t${this.token}`) return refusal("etcdserver: invalid auth token", 401);
      if (!isAuthentication) return given === null ? refusal("etcdserver: user name is empty") : Response.json({});
      this.authentications++;
      if (body.password !== "p") return refusal("etcdserver: authentication failed, invalid user ID or password");
      return Response.json({ token: `t${++this.token}` });
    });
  }
}

describe("EtcdGateway", () => {
  it("posts JSON, and returns the answer and its time", async () => {
    const date = "Thu, 26 Nov 2026 01:20:00 GMT";
    await using member = new ScriptedMember((body, { method, url }) =>
      Response.json({ body, method, path: new URL(url).pathname }, { headers: { Date: date } })
    );
    const answer = await gatewayTo(member.endpoint).call("/v3/kv/range", { key: "YQ==" });
    assertEquals(answer.body, { body: { key: "YQ==" }, method: "POST", path: "/v3/kv/range" });
    assertEquals(answer.dateMs, Date.UTC(2026, 10, 26, 1, 20));
  });

  it("authenticates once for many calls", async () => {
    await using member = new GuardedMember();
    const gateway = gatewayTo(member.endpoint, CREDENTIALS);
    await Promise.all(Array.from({ length: 10 }, () => gateway.call("/v3/kv/range", {})));
    assertEquals([member.authentications, member.requests], [1, 11]);
  });

  it("authenticates again, without the token before, once that one has expired", async () => {
    await using member = new GuardedMember();
    const gateway = gatewayTo(member.endpoint, CREDENTIALS);
    await gateway.call("/v3/kv/range", {});
    member.token++;
    await Promise.all(Array.from({ length: 10 }, () => gateway.call("/v3/kv/range", {})));
    assertEquals(member.authentications, 2);
  });

  it("authenticates again after a failed authentication", async () => {
    await using member = new GuardedMember();
    const credentials = { user: "u", password: "wrong" };
    const gateway = gatewayTo(member.endpoint, credentials);
    const call = () => gateway.call("/v3/kv/range", {});
    await assertRejects(call, StoreError, "invalid user ID or password; correct USER:PASSWORD in the credentials file");
    credentials.password = "p";
    await call();
  });

  it("gives up when etcd knows none of its tokens", async () => {
    await using member = new ScriptedMember((_, { url }) =>
      url.endsWith("/authenticate") ? Response.json({ token: "t" }) : refusal("etcdserver: invalid auth token", 401)
    );
    await assertRejects(
      () => gatewayTo(member.endpoint, CREDENTIALS).call("/v3/kv/range", {}),
      StoreError,
      "auth token",
    );
    assertEquals(member.requests, 6);
  });

  const refusals: [name: string, answer: () => Response, message: RegExp][] = [
    [
      "a full quota",
      () => refusal("etcdserver: mvcc: database space exceeded", 429),
      /refuses: mvcc: database space exceeded; .*etcdctl defrag .*alarm disarm.*--auto-compaction-retention=5m/,
    ],
    ["a lack of permission", () => refusal("etcdserver: permission denied", 403), /etcdctl role grant-permission/],
    ["a missing user", () => refusal("etcdserver: user name is empty"), /USER:PASSWORD as credentials/],
    ["no users at all", () => refusal("etcdserver: authentication is not enabled", 412), /leave the credentials out/],
    [
      "a certificate with a common name",
      () =>
        new Response(
          "CommonName of client sending a request against gateway will be ignored and not used as expected\n",
          {
            status: 400,
          },
        ),
      /make a client certificate without a common name/,
    ],
    ["an etcd before 3.4", () => new Response("404 page not found\n", { status: 404 }), /etcd 3.4 or later is needed/],
    [
      "a web page",
      () => new Response("<html>" + "x".repeat(5000), { headers: { "Content-Type": "text/html" } }),
      /refuses: "<html>x{74}…"; is it etcd 3.4 or later\?$/,
    ],
    ["a redirection", () => Response.redirect("http://127.0.0.1:2/"), /refuses: ""; is it etcd/],
    ["JSON that is no object", () => Response.json(7), /refuses: "7"; is it etcd/],
  ];
  for (const [name, answer, message] of refusals) {
    it(`says at once what to do about ${name}`, async () => {
      await using member = new ScriptedMember(answer);
      const error = await assertRejects(() => gatewayTo(member.endpoint).call("/v3/kv/range", {}), StoreError);
      assertMatch(error.message, message);
      assert(error.message.startsWith(`etcd at ${member.endpoint} refuses: `));
      assertEquals(member.requests, 1);
    });
  }

  it("asks again when there is no leader", async () => {
    await using member = new ScriptedMember((): Response =>
      member.requests < 3 ? refusal("etcdserver: no leader", 503) : Response.json({})
    );
    await gatewayTo(member.endpoint).call("/v3/kv/range", {});
    assertEquals(member.requests, 3);
  });
});
