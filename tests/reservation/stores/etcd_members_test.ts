import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StoreError } from "../../../mod.ts";
import { MemberError } from "../../../lib/reservation/stores/_etcd_failure.ts";
import type { CallLimits } from "../../../lib/reservation/stores/_etcd_member_call.ts";
import { EtcdMembers } from "../../../lib/reservation/stores/_etcd_members.ts";

/** Far longer than any of these calls takes. */
const LIMITS: CallLimits = { maxRepeatMs: 1000, failingMs: 30_000, silentMs: 30_000 };

/** Members that behave as told by name, and how often each was asked. */
class Members {
  readonly asked: Record<string, number> = {};
  readonly ended: string[] = [];
  readonly #members: EtcdMembers;

  readonly #behaviors: Record<string, () => Promise<string>>;

  constructor(behaviors: Record<string, () => Promise<string>>) {
    this.#behaviors = behaviors;
    this.#members = new EtcdMembers(Object.keys(behaviors));
  }

  ask(limits: Partial<CallLimits> = {}): Promise<string> {
    return this.#members.ask((name, signal) => {
      this.asked[name] = (this.asked[name] ?? 0) + 1;
      signal.addEventListener("abort", () => this.ended.push(name));
      return this.#behaviors[name]();
    }, { ...LIMITS, ...limits });
  }

  get total(): number {
    return Object.values(this.asked).reduce((sum, count) => sum + count, 0);
  }
}

const answers = () => Promise.resolve("answer");
const isSilent = () => new Promise<string>(() => {});
const fails = () => Promise.reject(new MemberError("out of order", false));
const isBroken = () => Promise.reject(new MemberError("broken", true));
const slowly = () => new Promise<string>((resolve) => setTimeout(resolve, 150, "answer"));

describe("EtcdMembers", () => {
  it("asks one member alone while that one answers, and the same one again", async () => {
    const members = new Members({ a: answers, b: answers, c: answers });
    for (let i = 0; i < 30; i++) assertEquals(await members.ask(), "answer");
    assertEquals(Object.values(members.asked), [30]);
  });

  it("asks the next member when one is silent, stays with the one that answered, and ends the other request", async () => {
    const members = new Members({ a: isSilent, b: answers });
    for (let i = 0; i < 30; i++) assertEquals(await members.ask(), "answer");
    assertEquals(members.asked.b, 30);
    assert((members.asked.a ?? 0) <= 1);
    assertEquals(members.ended.filter((name) => name === "a").length, members.asked.a ?? 0);
  });

  it("asks the next member at once when one fails", async () => {
    const members = new Members({ a: fails, b: isBroken, c: answers });
    for (let i = 0; i < 30; i++) assertEquals(await members.ask(), "answer");
    assertEquals(members.asked.c, 30);
    assert(members.total <= 32);
  });

  it("asks no more than a tenth of its requests twice, however slow the members are, after the first few", async () => {
    const members = new Members({ a: slowly, b: slowly, c: slowly });
    const calls = 60;
    for (let i = 0; i < calls; i += 10) await Promise.all(Array.from({ length: 10 }, () => members.ask()));
    assert(members.total > calls, "it hedges at all");
    assert(members.total <= calls * 1.1 + 4, `${members.total} requests for ${calls} calls`);
  });

  it("repeats a request that nobody answers", async () => {
    let asked = 0;
    const answersAtLast = () => ++asked < 3 ? isSilent() : answers();
    const members = new Members({ a: answersAtLast, b: answersAtLast });
    assertEquals(await members.ask(), "answer");
    assertEquals(asked, 3);
  });

  it("gives up members that fail, and says what the last failure was", async () => {
    const members = new Members({ a: fails, b: fails });
    const message = "etcd at a, b did not answer within 0 s: more than half of its members must run, and reach each " +
      "other (see etcdctl endpoint status --cluster); the last failure: out of order";
    await assertRejects(() => members.ask({ failingMs: 100 }), StoreError, message);
  });

  it("waits longer for a member that is silent, but not for ever", async () => {
    const members = new Members({ a: slowly, b: fails });
    assertEquals(await members.ask({ failingMs: 100 }), "answer");
    const silent = new Members({ a: isSilent, b: isSilent });
    await assertRejects(() => silent.ask({ failingMs: 100, silentMs: 200 }), StoreError, "did not answer within 0 s");
  });

  it("repeats a request less and less often while nobody answers, and steadily while all fail", async () => {
    const silent = new Members({ a: isSilent, b: isSilent });
    const failing = new Members({ a: fails, b: fails });
    await Promise.all([
      assertRejects(() => silent.ask({ silentMs: 2000 }), StoreError), // at 0, 100, 600 and 1600 ms
      assertRejects(() => failing.ask({ failingMs: 1800 }), StoreError), // at 0, 0, 500, 1000 and 1500 ms
    ]);
    assertEquals(silent.total, 4);
    assert(failing.total === 4 || failing.total === 5, "one fewer on a busy machine");
  });

  it("gives up at once when no member will answer, and asks no other then", async () => {
    const members = new Members({
      a: () => Promise.reject(new StoreError("wrong password")),
      b: () => Promise.reject(new StoreError("wrong password")),
    });
    await assertRejects(() => members.ask(), StoreError, "wrong password");
    assertEquals(members.total, 1);
  });

  it("gives up at once when all members need an operator", async () => {
    const members = new Members({ a: isBroken, b: isBroken, c: isBroken });
    await assertRejects(() => members.ask(), StoreError, "broken");
    assertEquals(members.total, 3);
  });
});
