import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { COUNT_WORDS } from "../../lib/node/pool_memory.ts";
import { ChannelError, encodeMessage, type FromWorker, type WorkerConfig } from "../../lib/server/control_channel.ts";
import { parseWorkerMessage, readWorkerMessages, WorkerRules } from "../../lib/server/worker_messages.ts";
import { planWorkers } from "../../lib/server/plan_workers.ts";
import { ANY_CHARACTER } from "../any_character.ts";
import { NODE_DEFAULTS } from "./serve_defaults.ts";

const TICK = fc.oneof(fc.integer({ min: -1 }), fc.maxSafeInteger().filter((tick) => tick >= -1));
const COUNT = fc.maxSafeNat();
const TRAFFIC = fc.option(fc.record({ messages: COUNT, receives: COUNT }), { nil: undefined });

const COUNTS = fc.option(fc.array(COUNT, { minLength: COUNT_WORDS, maxLength: COUNT_WORDS }), { nil: undefined });

/** All that a worker may say, as far as one message goes. */
const MESSAGE: fc.Arbitrary<FromWorker> = fc.oneof(
  fc.constant<FromWorker>({ type: "hello" }),
  fc.record({ type: fc.constant("ready" as const), port: fc.integer({ min: 1, max: 65_535 }) }),
  fc.record({ type: fc.constant("ready" as const), port: fc.constant(1), unconfined: fc.string() }),
  fc.constant({ type: "pong" as const }),
  fc.record({ type: fc.constant("report" as const), usedTick: TICK, traffic: TRAFFIC, counts: COUNTS }),
  fc.record({ type: fc.constant("ended" as const), usedTick: TICK }),
  fc.record({ type: fc.constant("failed" as const), message: fc.string({ unit: ANY_CHARACTER, maxLength: 1000 }) }),
);

function lineOf(message: FromWorker): string {
  return new TextDecoder().decode(encodeMessage(message)).trimEnd();
}

/** A message as it arrives: what is `undefined` is not there. */
function asSent(message: FromWorker): FromWorker {
  return JSON.parse(JSON.stringify(message));
}

/** Reads a line, and fails on any error but the one that is allowed. */
function parsed(line: string): FromWorker | undefined {
  try {
    return parseWorkerMessage(line);
  } catch (error) {
    assert(error instanceof ChannelError, String(error));
    return undefined;
  }
}

describe("parseWorkerMessage", () => {
  it("reads every message that a worker may send", () => {
    fc.assert(fc.property(MESSAGE, (message) => assertEquals(parseWorkerMessage(lineOf(message)), asSent(message))));
  });

  it("reads nothing else, whatever the line is, and throws no other error", () => {
    const line = fc.oneof(
      fc.string({ unit: ANY_CHARACTER }),
      fc.json(),
      fc.constantFrom("", "null", "[]", "1", '"hello"'),
    );
    fc.assert(fc.property(line, (line) => assertEquals(parsed(line), undefined)));
  });

  it("reads no message with a field that is of another kind, missing, or too much", () => {
    const wrong = fc.oneof(
      ...[fc.string(), fc.boolean(), fc.constant(null), fc.array(fc.nat()), fc.dictionary(fc.string(), fc.nat())],
      ...[fc.integer({ max: -2 }), fc.double({ noInteger: true, noNaN: true }), fc.constant(2 ** 53)],
      fc.constant(undefined),
    );
    const field = fc.constantFrom(
      "type",
      "port",
      "usedTick",
      "traffic",
      "counts",
      "message",
      "__proto__",
      "toString",
      "more",
    );
    fc.assert(fc.property(MESSAGE, field, wrong, (message, field, value) => {
      fc.pre(
        !(field === "message" && typeof value === "string") &&
          !(["traffic", "counts"].includes(field) && value === undefined),
      );
      fc.pre(!(field === "type" && Object.is(value, message.type)));
      const changed: Record<string, unknown> = Object.assign(Object.create(null), message, { [field]: value });
      fc.pre(Object.hasOwn(message, field) || value !== undefined);
      assertEquals(parsed(JSON.stringify(changed)), undefined);
    }));
  });

  it("reads no report of traffic, or of counts, that cannot be", () => {
    for (const traffic of ["{}", '{"messages":1}', '{"messages":-1,"receives":1}', '{"messages":1,"receives":1e99}']) {
      assertThrows(() => parseWorkerMessage(`{"type":"report","usedTick":1,"traffic":${traffic}}`), ChannelError);
    }
    const zeros = new Array(COUNT_WORDS).fill(0);
    for (const counts of [[], [...zeros, 0], zeros.with(3, -1), zeros.with(3, 0.5), zeros.with(3, "1")]) {
      const line = JSON.stringify({ type: "report", usedTick: 1, counts });
      assertThrows(() => parseWorkerMessage(line), ChannelError);
    }
  });

  it("shows the line, cut short and quoted", () => {
    assertThrows(() => parseWorkerMessage("\x1b[2J" + "x".repeat(1000)), ChannelError, '"\\u001b[2Jxxx');
    assert(
      (parsed(lineOf({ type: "failed", message: "x".repeat(60_000) })) as { message: string }).message.length <= 1000,
    );
  });
});

describe("readWorkerMessages", () => {
  const read = (chunks: Uint8Array<ArrayBuffer>[]) => Array.fromAsync(readWorkerMessages(ReadableStream.from(chunks)));

  it("reads messages until the channel ends", async () => {
    const messages: FromWorker[] = [{ type: "hello" }, { type: "ready", port: 9999 }];
    assertEquals(await read(messages.map(encodeMessage)), messages);
  });

  it("throws nothing but its own error, whatever bytes come", async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ size: "medium" })), async (chunks) => {
      await read(chunks as Uint8Array<ArrayBuffer>[]).catch((error) => assert(error instanceof ChannelError, error));
    }));
  });

  it("keeps no more than 64 KiB of a line that does not end", async () => {
    let chunks = 0;
    const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        chunks++;
        controller.enqueue(new Uint8Array(16_384).fill(0x78));
      },
    });
    await assertRejects(
      () => Array.fromAsync(readWorkerMessages(endless)),
      ChannelError,
      "a line of more than 65536 characters",
    );
    assert(chunks < 20, `${chunks} chunks were read`);
  });
});

describe("WorkerRules", () => {
  /** A worker on port 9999 without a pool, which has the ticks from 100 to 103. */
  function configWith(changes: Partial<WorkerConfig> = {}): WorkerConfig {
    const [config] = planWorkers({
      ...{ options: NODE_DEFAULTS, backend: "listen-datagram", workerCount: 1, cpus: undefined, access: {} },
      share: { kind: "subnode", workerCount: 1, reservation: { firstTick: 100, mark: 104 } },
    });
    return { ...config, ...changes };
  }

  /** Which of the messages is the first that breaks the rules; `undefined` if all may be. */
  function firstWrong(messages: FromWorker[], config = configWith()): number | undefined {
    const rules = new WorkerRules(config);
    for (const [i, message] of messages.entries()) {
      try {
        rules.check(message);
      } catch (error) {
        assert(error instanceof ChannelError, String(error));
        return i;
      }
    }
    return undefined;
  }

  const hello: FromWorker = { type: "hello" };
  const ready: FromWorker = { type: "ready", port: 9999 };
  const failed: FromWorker = { type: "failed", message: "no more" };
  const report = (usedTick: number): FromWorker => ({
    type: "report",
    usedTick,
    traffic: undefined,
    counts: undefined,
  });
  const ended = (usedTick: number): FromWorker => ({ type: "ended", usedTick });

  it("let a worker say hello, that it is ready, what it has used, and that it has ended", () => {
    assertEquals(firstWrong([hello, ready, report(99), report(100), report(100), report(103), ended(103)]), undefined);
    assertEquals(firstWrong([hello, ready, ended(99)]), undefined);
    for (const before of [[], [hello], [hello, ready], [hello, ready, report(100)]]) {
      assertEquals(firstWrong([...before, failed]), undefined);
    }
  });

  it("let it say each in its turn only", () => {
    const wrong: FromWorker[][] = [
      ...[[ready], [report(100)], [ended(100)]],
      ...[[hello, hello], [hello, report(100)], [hello, ended(100)]],
      ...[[hello, ready, hello], [hello, ready, ready]],
      ...[hello, ready, report(100), ended(100), failed].map((next) => [hello, ready, ended(100), next]),
      ...[hello, ready, failed].map((next) => [failed, next]),
    ];
    for (const messages of wrong) {
      assertEquals(firstWrong(messages), messages.length - 1, JSON.stringify(messages));
    }
  });

  it("let it answer each ping once", () => {
    const rules = new WorkerRules(configWith());
    for (const message of [hello, ready]) rules.check(message);
    const pong: FromWorker = { type: "pong" };
    assertThrows(() => rules.check(pong), ChannelError, '"pong" without a ping');

    const others = new WorkerRules(configWith());
    for (let i = 0; i < 2; i++) others.expectPong();
    for (const message of [hello, ready, pong, report(100), pong]) others.check(message);
    assertThrows(() => others.check(pong), ChannelError, '"pong" without a ping');
  });

  it("let it have no other port than it was told, and any if it was told none", () => {
    assertEquals(firstWrong([hello, { type: "ready", port: 9998 }]), 1);
    assertEquals(firstWrong([hello, { type: "ready", port: 9998 }], configWith({ port: 0 })), undefined);
  });

  it("let it have used no tick that it does not own", () => {
    assertEquals(firstWrong([hello, ready, report(98)]), 2);
    assertEquals(firstWrong([hello, ready, report(104)]), 2);
    assertEquals(firstWrong([hello, ready, ended(98)]), 2);
    assertEquals(firstWrong([hello, ready, ended(104)]), 2);
    assertEquals(firstWrong([hello, ready, report(Number.MAX_SAFE_INTEGER)]), 2);
  });

  it("let it go no tick back", () => {
    assertEquals(firstWrong([hello, ready, report(102), report(101)]), 3);
    assertEquals(firstWrong([hello, ready, report(102), ended(101)]), 3);
  });

  it("let it use ticks up to the mark that it was told last", () => {
    const reservation = { firstTick: 100, mark: 104 };
    const rules = new WorkerRules(configWith({ share: { kind: "subnode", workerCount: 1, reservation } }));
    for (const message of [hello, ready]) rules.check(message);
    reservation.mark = 110;
    rules.check(report(109));
    assertThrows(() => rules.check(report(110)), ChannelError, "tick 110 as its last one");
  });

  it("let a worker with a pool use any tick of the layout", () => {
    const config = configWith({ share: { kind: "pool", path: "" } });
    assertEquals(firstWrong([hello, ready, report(-1), report(2 ** 37 - 1)], config), undefined);
    assertEquals(firstWrong([hello, ready, report(2 ** 37)], config), 2);
  });
});
