import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setImmediate } from "node:timers";
import type { Endpoint } from "../../client.ts";
import { RangeRequester } from "../../lib/client/_range_requester.ts";
import { Mac } from "../../lib/access/mac.ts";
import { WireStatus } from "../../lib/wire/protocol.ts";
import { keyOf } from "../access/keys.ts";
import { HeldTime, turn } from "../held_time.ts";
import { FakeNetwork, type SentRequest } from "./fake_network.ts";
import { grant, refuse } from "./scripted_server.ts";

/** Servers by the names of their hosts. */
const at = (...hostnames: string[]): Endpoint[] => hostnames.map((hostname) => ({ hostname, port: 9999 }));

/** A requester of several servers, on a network and with time of the test's own. */
function setUp(
  servers: Endpoint[] | (() => Promise<Endpoint[]>),
  { timeoutMs = 5000, retransmitMs = 200, key = undefined as Uint8Array | undefined } = {},
) {
  const time = new HeldTime();
  const network = new FakeNetwork(time);
  const options = { servers, timeoutMs, retransmitMs, key, cluster: "test" };
  const requester = new RangeRequester(options, network.open);
  let next = 0n;
  /** What became of the requests, in their order. */
  const ends: (string | undefined)[] = [];
  const ask = () => {
    const i = ends.push(undefined) - 1;
    requester.begin(
      2,
      (_response, server) => ends[i] = server.host.hostname,
      (error) => ends[i] = `${error.name}: ${error.message}`,
    );
  };
  const grantIds = (request: SentRequest) => network.answer(request, grant(request, next += 10n));
  /** Answers all that went to these hosts since the last call of `take`. */
  const answer = (...hostnames: string[]) => {
    for (const request of network.sent.filter(({ hostname }) => hostnames.includes(hostname))) grantIds(request);
  };
  return { time, network, requester, ends, ask, answer, grantIds };
}

/** The same after all servers have answered at once. */
function setUpAnswered(...hostnames: string[]) {
  const set = setUp(at(...hostnames));
  set.ask();
  set.answer(...hostnames);
  set.network.take();
  set.ends.splice(0);
  return set;
}

describe("NearestServer", () => {
  it("asks the first server, and finds out with a request for one id each whether the others respond", () => {
    const { time, network, ends, ask, answer } = setUp(at("a", "b", "c"));
    using _ = time;
    ask();
    assertEquals(network.sent.map(({ hostname, count }) => [hostname, count]).sort(), [["a", 2], ["b", 1], ["c", 1]]);
    answer("b", "a", "c");
    for (let i = 0; i < 10; i++) ask();
    answer("a");
    assertEquals([ends.length, new Set(ends)], [11, new Set(["a"])]);
  });

  it("goes to a server that is much nearer", async () => {
    const { time, network, ends, ask, answer } = setUp(at("a", "b"));
    using _ = time;
    ask();
    await time.goTo(2);
    answer("b");
    await time.goTo(10);
    answer("a");
    network.take();
    for (const ms of [20, 1000, 2000, 3000]) {
      await time.goTo(ms);
      ask();
      await time.goTo(ms + (ms < 1000 ? 10 : 2));
      answer("a", "b");
      network.take();
    }
    assertEquals(ends, ["a", "a", "b", "b", "b"]);
  });

  it("asks the next server after 15 ms without a response, and takes the first response that comes", async () => {
    const { time, network, ends, ask, grantIds } = setUpAnswered("a", "b", "c");
    using _ = time;
    ask();
    await time.goTo(14);
    assertEquals(network.sent.length, 1);
    await time.goTo(16);
    const [first, second] = network.requests();
    assertEquals([first, second].map(({ hostname, atMs }) => [hostname, atMs]), [["a", 0], ["b", 15]]);
    assert(grantIds(first));
    assert(!grantIds(second), "it has its ids");
    assertEquals(ends, ["a"]);
    assert(!network.isWaiting("b"), "nothing is to come from there");
  });

  it("waits for three times the usual time of a slow server", async () => {
    const { time, network, ends, ask, answer } = setUp(at("a", "b"));
    using _ = time;
    ask();
    await time.goTo(10);
    answer("a", "b");
    network.take();
    ask();
    await time.goTo(29);
    assertEquals(network.take(), ["a at 10"]);
    await time.goTo(41);
    assertEquals(network.take(), ["b at 40"]);
    assertEquals(ends.length, 2);
  });

  it("sends all requests of a silent server on, however many, and later ones to the next server at once", async () => {
    const { time, network, ends, ask, answer } = setUpAnswered("a", "b");
    using _ = time;
    for (let i = 0; i < 200; i++) ask();
    assertEquals(network.take().length, 200);
    await time.goTo(20);
    answer("b");
    assertEquals([ends.length, new Set(ends)], [200, new Set(["b"])]);
    network.take();
    for (let ms = 21; ms < 500; ms++) {
      await time.goTo(ms);
      ask();
      answer("b");
    }
    assertEquals(new Set(ends), new Set(["b"]), "none had to wait");
    assertEquals(new Set(network.sent.map(({ hostname }) => hostname)), new Set(["b"]));
  });

  it("passes on what was sent just before the last response of a server that fell silent", async () => {
    const { time, network, ends, ask, answer, grantIds } = setUpAnswered("a", "b");
    using _ = time;
    for (let i = 0; i < 100; i++) ask();
    await time.goTo(14);
    grantIds(network.sent[0]);
    ask();
    network.take();
    await time.goTo(50);
    answer("b");
    assertEquals(new Set(ends), new Set(["a", "b"]), "none waits for its retransmission");
  });

  it("finds out that a silent server is back while all requests wait for another one", async () => {
    const { time, network, ends, ask, answer } = setUp(at("a", "b"), { timeoutMs: 120_000, retransmitMs: 60_000 });
    using _ = time;
    ask();
    answer("a", "b");
    ask();
    await time.goTo(20); // a is silent
    for (let i = 0; i < 200; i++) ask();
    await time.goTo(1100); // and so is b
    assertEquals(ends.slice(2), new Array(200).fill(undefined));
    for (let ms = 1100; ms < 2000; ms++) {
      network.take();
      await time.goTo(ms);
      answer("a");
    }
    const waiting = ends.slice(2).filter((end) => end !== "a");
    assertEquals(waiting.length, 10, "all but those that were lost on their way to a");
  });

  it("probes a silent server once a second while it is used, and goes back when the next one falls silent", async () => {
    const { time, network, ends, ask, answer } = setUpAnswered("a", "b");
    using _ = time;
    ask();
    await time.goTo(16);
    answer("b");
    network.take();
    for (let ms = 20; ms < 4000; ms += 20) {
      await time.goTo(ms);
      ask();
      answer("b");
    }
    assertEquals(new Set(ends), new Set(["b"]));
    const probes = network.sent.filter(({ hostname }) => hostname === "a");
    assertGreater(probes.length, 2);
    assertLess(probes.length, 6);
    network.take();
    await time.goTo(9000);
    assertEquals(network.take(), [], "nothing is sent while nobody asks");
    ask();
    answer("a", "b");
    network.take();
    ask();
    assertEquals(network.take(), ["b at 9000"], "the one that it has kept");
    await time.goTo(9020);
    answer("a");
    assertEquals(ends.at(-1), "a");
  });

  it("skips a server that is known to be silent", async () => {
    const { time, network, ask, answer } = setUp(at("a", "b", "c"));
    using _ = time;
    ask();
    answer("a", "c");
    await time.goTo(1100); // b has not answered its probe
    ask();
    answer("a");
    await time.goTo(1300);
    network.take();
    ask();
    await time.goTo(1316);
    assertEquals(network.take(), ["a at 1300", "c at 1315"]);
  });

  it("sends a tenth more requests at most where a server answers too few", async () => {
    const { time, network, ends, ask, grantIds } = setUp(at("a", "b"), { timeoutMs: 100, retransmitMs: 150 });
    using _ = time;
    let hedges = 0;
    for (let i = 0; i < 400; i++) {
      ask();
      // The network loses every third request to a, and b is never there.
      for (const request of network.sent) {
        if (request.hostname === "a" && (request.count === 1 || i % 3 > 0)) grantIds(request);
      }
      network.sent.splice(0);
      await time.goTo(time.ms + 20);
      hedges += network.requests().filter(({ hostname }) => hostname === "b").length;
    }
    assertGreater(hedges, 10);
    assertLess(hedges, 400 / 10 + 11);
    assertGreater(ends.filter((end) => end === "a").length, 260);
  });

  it("takes a server for silent after four times the patience, without budget and right after another one", async () => {
    const { time, network, ends, ask, answer, grantIds } = setUpAnswered("a", "b");
    using _ = time;
    ask();
    await time.goTo(16);
    answer("b");
    answer("a"); // its probe, but b is kept
    network.take();
    for (let i = 0; i < 100; i++) ask();
    await time.goTo(30);
    grantIds(network.sent[0]);
    await time.goTo(60);
    assertEquals(network.requests().filter(({ hostname }) => hostname === "a").length, 10, "the budget");
    await time.goTo(100);
    answer("a");
    assertEquals([ends.filter((end) => end === "b").length, ends.includes(undefined)], [2, false]);
    assertEquals(network.requests().length, 199, "each once more");
  });

  it("asks the next server if the event loop is busy again and again", async () => {
    const { time, network, ask } = setUpAnswered("a", "b");
    using _ = time;
    ask();
    for (const ms of [100, 200]) {
      time.ms = ms;
      await time.fire();
    }
    assertEquals(network.take(), ["a at 0", "b at 200"]);
  });

  it("asks nobody else where it was the event loop that had no time for the responses", async () => {
    const { time, network, ends, ask, answer } = setUpAnswered("a", "b");
    using _ = time;
    ask();
    time.ms = 100;
    await time.fire();
    assertEquals(network.sent.length, 1);
    answer("a");
    assertEquals(ends, ["a"]);
    ask();
    time.ms = 200;
    await time.fire();
    await time.goTo(210);
    assert(network.requests().some(({ hostname }) => hostname === "b"));
  });

  it("passes over a server without ids, for as long as it says", async () => {
    const { time, network, ends, ask, answer } = setUpAnswered("a", "b");
    using _ = time;
    ask();
    network.answer(network.sent[0], refuse(network.sent[0], WireStatus.OUT_OF_IDS, 700));
    answer("b");
    assertEquals([network.take(), ends], [["a at 0", "b at 0"], ["b"]]);
    await time.goTo(500);
    ask();
    network.answer(network.sent[0], refuse(network.sent[0], WireStatus.NOT_SERVING, 100));
    assertEquals(network.take(), ["b at 500", "a at 500"], "a might have them all the same");
  });

  it("asks a server without ids again at the time that it says, where the other one is silent", async () => {
    const { time, network, ends, ask, answer } = setUpAnswered("a", "b");
    using _ = time;
    ask();
    await time.goTo(16);
    const [, toB] = network.requests();
    network.answer(toB, refuse(toB, WireStatus.OUT_OF_IDS, 50));
    network.take();
    await time.goTo(67);
    assertEquals(network.take(), ["b at 66"]);
    await time.goTo(70);
    ask();
    answer("b");
    assertEquals(ends.length, 2);
    assertEquals(ends[1], "b");
  });

  it("waits for the first of all servers to have ids again, and asks that one", async () => {
    const { time, network, ends, ask, answer } = setUpAnswered("a", "b");
    using _ = time;
    ask();
    network.answer(network.sent[0], refuse(network.sent[0], WireStatus.OUT_OF_IDS, 300));
    network.answer(network.sent[1], refuse(network.sent[1], WireStatus.CLOCK_BEHIND, 400));
    network.take();
    await time.goTo(301);
    assertEquals(network.sent.map(({ hostname, atMs }) => `${hostname} at ${atMs}`), ["a at 300"]);
    answer("a");
    assertEquals(ends, ["a"]);
  });

  it("fails at once only where all servers refuse for good", () => {
    const { time, network, ends, ask, answer } = setUpAnswered("a", "b");
    using _ = time;
    ask();
    network.answer(network.sent[0], refuse(network.sent[0], WireStatus.OUT_OF_TIME, 0));
    answer("b");
    network.take();
    ask();
    for (const request of network.sent) network.answer(request, refuse(request, WireStatus.BAD_REQUEST, 0));
    assertEquals(ends[0], "b");
    assertEquals(ends[1], "RefusedError: the server refuses to give ids: it takes this for a bad request");
  });

  it("takes no response from a server that was not asked", () => {
    const { time, network, ends, ask } = setUpAnswered("a", "b");
    using _ = time;
    ask();
    const [request] = network.sent;
    assert(!network.answer({ ...request, hostname: "b" }, grant(request, 9000n)));
    assert(network.answer(request, grant(request, 8000n)));
    assertEquals(ends, ["a"]);
  });

  it("goes on with the others where the program may not send to one, and fails where it may send to none", () => {
    const { time, network, ends, ask, answer } = setUp(at("a", "b"));
    using _ = time;
    const denied = new Deno.errors.NotCapable("Requires net access");
    ask();
    network.fail("b", denied);
    assertEquals(ends, [undefined]);
    answer("a");
    ask();
    network.fail("a", denied);
    assertEquals(ends, ["a", "NotCapable: Requires net access"]);
  });

  it("takes a signed response of each server to the request as that one got it, and to no other", async () => {
    const [key, mac] = [keyOf(7), new Mac(keyOf(7), "test")];
    const { time, network, ends, ask } = setUp(at("a", "b"), { key });
    using _ = time;
    const responseTo = ({ bytes }: SentRequest) => {
      const view = new DataView(bytes.slice().buffer);
      view.setUint32(4, 1);
      view.setBigUint64(16, 1000n);
      mac.signResponse(view);
      return new Uint8Array(view.buffer);
    };
    ask();
    await time.goTo(16);
    const [toA, toB] = network.requests();
    assertEquals([toA.hostname, toB.hostname], ["a", "b"]);
    assert(!network.answer(toA, responseTo(toB)));
    assert(!network.answer(toB, responseTo(toA)));
    assert(network.answer(toA, responseTo(toA)));
    assertEquals(ends, ["a"]);
  });

  it("leaves no timer and no probe behind its last response", async () => {
    const { time, network, ask, answer } = setUp(at("a", "b"));
    using _ = time;
    ask();
    answer("a");
    assert(network.isWaiting("b"));
    await new Promise((resolve) => setImmediate(resolve));
    assertEquals([time.count, network.isWaiting("b")], [0, false]);
  });

  it("names all servers where none responds", async () => {
    const { time, network, ends, ask } = setUp(at("a", "::1"), { timeoutMs: 1000 });
    using _ = time;
    ask();
    await time.goTo(2000);
    assert(ends[0]?.startsWith("NoResponseError: no response from a:9999, [::1]:9999 to "), ends[0]);
    assertLess(network.sent.length, 12);
  });

  it("closes all sockets", () => {
    const { network, requester, time } = setUp(at("a", "b"));
    using _ = time;
    requester.close();
    assertEquals(network.closed, ["a", "b"]);
  });
});

describe("NearestServer, with a function that finds the servers", () => {
  it("waits until they are found, looks again every 30 s, and keeps what it knows", async () => {
    let found = at("a", "b");
    let searches = 0;
    const { time, network, ends, ask, answer } = setUp(() => (searches++, Promise.resolve(found)));
    using _ = time;
    ask();
    assertEquals(network.sent.length, 0);
    await turn();
    answer("a", "b");
    assertEquals(ends, ["a"]);
    found = at("c", "a");
    await time.goTo(29_000);
    ask();
    await turn();
    answer("a");
    assertEquals(searches, 1);
    await time.goTo(31_000);
    ask();
    await turn();
    ask();
    answer("a");
    assertEquals([searches, network.closed, ends], [2, ["b"], ["a", "a", "a", "a"]]);
  });

  it("looks again when a server falls silent, and goes to one that is found", async () => {
    let found = at("a", "b");
    const { time, network, ends, ask, answer } = setUp(() => Promise.resolve(found));
    using _ = time;
    ask();
    await turn();
    answer("a", "b");
    found = at("c");
    await time.goTo(2000);
    network.take();
    ask();
    await time.goTo(2040);
    assertEquals(network.closed, ["a", "b"]);
    ask();
    answer("c");
    assertEquals(ends.at(-1), "c");
  });

  it("says why no server was found, and asks again after a second", async () => {
    let searches = 0;
    const find = () => ++searches < 3 ? Promise.reject(new Error("the registry is away")) : Promise.resolve(at("a"));
    const { time, ends, ask, answer } = setUp(find, { timeoutMs: 500 });
    using _ = time;
    ask();
    await time.goTo(600);
    assertEquals(ends, ["NoResponseError: no server is known: the registry is away"]);
    for (const ms of [1700, 3000]) {
      await time.goTo(ms);
      ask();
      await turn();
      answer("a");
    }
    assertEquals([searches, ends[2]], [3, "a"]);
  });

  it("keeps the servers that it has where none is found", async () => {
    let found = at("a");
    const { time, ends, ask, answer } = setUp(() => Promise.resolve(found));
    using _ = time;
    ask();
    await turn();
    answer("a");
    found = [];
    await time.goTo(40_000);
    ask();
    await turn();
    answer("a");
    assertEquals(ends, ["a", "a"]);
  });
});
