import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as client from "../../client.ts";
import * as stores from "../../sqlite_store.ts";
import * as main from "../../mod.ts";
import { FlakyStore } from "../reservation/flaky_store.ts";
import { overwrite } from "../reservation/record_of.ts";
import { HandClock } from "../id/hand_clock.ts";

const { ClosedError, GlobalIdError, IdGenerator, IdLayout, RetryableError } = main;

/** The folders of what is imported, and not run as a command. */
const LIBRARY = ["base", "client", "id", "reservation", "wire"];

/** What JavaScript has for wrong arguments. */
const WRONG_ARGUMENT = ["TypeError", "RangeError", "SyntaxError"];

/** Places that make another error, which becomes the cause of a StoreError, or of a NoResponseError. */
const CAUSES = [
  "lib/reservation/stores/_open_reservations.ts",
  "lib/client/_host_socket.ts",
  "lib/client/_libc_socket.ts",
];

// deno-lint-ignore ban-types -- a class with any constructor
const isErrorClass = (value: unknown): value is Function =>
  typeof value === "function" && value.prototype instanceof Error;

const exported = Object.entries({ ...main, ...client, ...stores }).filter(([, value]) => isErrorClass(value));

const LAYOUT = new IdLayout({ timeBits: 6, sequenceBits: 1, nodeBits: 1, tickMs: 100, epochMs: 1_000_000 });

/** A generator without a reservation in tick 11, and its clock. */
function setUp() {
  const clock = new HandClock(1_001_000);
  const ids = new IdGenerator({ nodeId: 1, layout: LAYOUT, clock });
  clock.ms += 100;
  return { clock, ids };
}

describe("GlobalIdError", () => {
  it("is the base of every error class that an entry point exports", () => {
    assert(exported.length > 10);
    for (const [name, value] of exported) {
      if (value !== GlobalIdError) assert((value as typeof Error).prototype instanceof GlobalIdError, name);
    }
  });

  it("is the base of all errors that the library makes but those for wrong arguments", async () => {
    const classes = new Set(exported.map(([name]) => name));
    // One that only the library tells apart is one of those to everybody else.
    for (const folder of LIBRARY) {
      for await (const [, source] of sourcesIn(`lib/${folder}`)) {
        for (const [, name, base] of source.matchAll(/\bclass (\w*Error) extends (\w+)/g)) {
          if (classes.has(base)) classes.add(name);
        }
      }
    }
    let count = 0;
    for (const folder of LIBRARY) {
      for await (const [path, source] of sourcesIn(`lib/${folder}`)) {
        if (CAUSES.includes(path)) continue;
        for (const [made, name] of source.matchAll(/\bnew (\w*Error)\(/g)) {
          assert(classes.has(name) || WRONG_ARGUMENT.includes(name), `${path}: ${made}`);
          count++;
        }
      }
    }
    assert(count > 30, `${count} errors`);
  });

  it("is the base of what a generator throws, which is retryable if time helps", async () => {
    const { clock, ids } = setUp();
    ids.nextRange(2);
    assertInstanceOf(assertThrows(() => ids.nextId(), main.OutOfIdsError), RetryableError);
    clock.ms -= 500;
    assertInstanceOf(assertThrows(() => ids.nextId(), main.ClockError), RetryableError);
    clock.ms = 1_006_400;
    const outOfTime = assertThrows(() => ids.nextId(), main.OutOfTimeError);
    assertEquals([outOfTime instanceof GlobalIdError, outOfTime instanceof RetryableError], [true, false]);
    await ids.close();
    const closed = assertThrows(() => ids.nextId(), ClosedError);
    assertEquals([closed instanceof GlobalIdError, closed instanceof RetryableError], [true, false]);
  });

  it("is the base of what IdGenerator.open throws", async () => {
    const store = new FlakyStore();
    await overwrite(store, 1, { mark: 5, layout: "another" });
    const clock = new HandClock(1_001_000);
    const open = (nodeId: number) => IdGenerator.open({ store, layout: LAYOUT, clock, nodeId });
    assertInstanceOf(await assertRejects(() => open(1), main.LayoutMismatchError), GlobalIdError);
    clock.ms = NaN;
    assertInstanceOf(await assertRejects(() => open(0), main.ClockError), RetryableError);
    assertThrows(() => new stores.SqliteReservationStore("/none/store.sqlite"), main.StoreError);
  });

  it("keeps the cause, and the name of the class", () => {
    const cause = new Error("out of reach");
    const error = new main.NotReservedError(11, 10, 100, cause);
    assertEquals([error.cause, error.name], [cause, "NotReservedError"]);
    assertEquals(`${new main.StoreError("it failed", { cause })}`, "StoreError: it failed");
    assertEquals(`${new ClosedError("the generator")}`, "ClosedError: the generator is closed");
  });
});

/** The TypeScript files under a folder: path and source. */
async function* sourcesIn(folder: string): AsyncGenerator<[path: string, source: string]> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* sourcesIn(path);
    else if (name.endsWith(".ts")) yield [path, await Deno.readTextFile(path)];
  }
}
