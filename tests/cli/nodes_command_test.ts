import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { UsageError } from "../../lib/cli/flags.ts";
import { formatJson, formatNodes, NODES_HELP, parseNodesArgs } from "../../lib/cli/nodes_command.ts";
import type { NodeStatus } from "../../lib/reservation/watch_nodes.ts";
import { DEFAULT_LAYOUT, NUMBER_LAYOUT, StoreError } from "../../mod.ts";
import { foundRecord } from "../reservation/record_of.ts";

const info = { host: "db-1", address: "10.0.0.1:9999", version: "1.2.3", since: "2026-11-26T01:02:03.000Z" };
const written = "2026-11-26T02:59:50.000Z";
const mark = (Date.parse("2026-11-26T03:00:00Z") - DEFAULT_LAYOUT.epochMs) / DEFAULT_LAYOUT.tickMs;

const NODES: NodeStatus[] = [
  {
    nodeId: 0,
    state: "alive",
    found: foundRecord({ mark, layout: DEFAULT_LAYOUT.key, info, writtenMs: Date.parse(written) }),
  },
  { nodeId: 7, state: "free", found: foundRecord({ mark: 5, beat: 2, layout: NUMBER_LAYOUT.key }) },
  { nodeId: 30, state: "silent", found: foundRecord({ mark: 5, layout: "v2 of something else".repeat(9) }) },
  { nodeId: 1023, state: "unreadable", found: new StoreError("a record must be JSON") },
];

describe("parseNodesArgs", () => {
  it("lists the nodes of the default store, unless told otherwise", () => {
    assertEquals(parseNodesArgs([]), {
      kind: "list",
      store: undefined,
      stateDir: undefined,
      watchMs: 6000,
      isJson: false,
    });
    assertEquals(parseNodesArgs("--store etcd://h/p --state d --watch 0 --json".split(" ")), {
      kind: "list",
      store: "etcd://h/p",
      stateDir: "d",
      watchMs: 0,
      isJson: true,
    });
    assertEquals(parseNodesArgs(["--free", "7"]), { kind: "free", store: undefined, stateDir: undefined, nodeId: 7 });
    assertEquals(parseNodesArgs(["--help"]), { kind: "help" });
    assertEquals(parseNodesArgs(["--version"]), { kind: "version" });
  });

  for (
    const args of [
      "--free 65536",
      "--free -1",
      "--watch 61",
      "--store ftp://h",
      "--free 1 --json",
      "--free 1 --watch 2",
    ]
  ) {
    it(`refuses ${args}`, () => {
      assertThrows(() => parseNodesArgs(args.split(" ")), UsageError);
    });
  }

  it("has help of at most 120 columns", () => {
    assert(NODES_HELP.split("\n").every((line) => line.length <= 120));
  });
});

describe("formatNodes", () => {
  it("writes a line a node, with the mark as a time where the layout is a preset, and how many there are", () => {
    assertEquals(formatNodes(NODES).split("\n"), [
      "node  state       last written" + " ".repeat(14) + "reserved until            layout" + " ".repeat(76) +
      "held since" + " ".repeat(16) + "host  address        version",
      `0     alive       ${written}  2026-11-26T03:00:00.000Z  default` + " ".repeat(75) +
      "2026-11-26T01:02:03.000Z  db-1  10.0.0.1:9999  1.2.3",
      "7     free        -" + " ".repeat(25) + "2020-01-01T00:00:05.000Z  number" + " ".repeat(76) + "-" +
      " ".repeat(25) +
      "-     -              -",
      "30    silent      -" + " ".repeat(25) + `tick 5                    ${"v2 of something else".repeat(4)}  -` +
      " ".repeat(25) + "-     -              -",
      "1023  unreadable  a record must be JSON",
      "on record: 1 alive, 1 silent, 1 free, 1 unreadable",
    ]);
  });

  it("says so where there are none", () => {
    assertEquals(formatNodes([]), "no node is on record: none was ever held");
  });
});

describe("formatJson", () => {
  it("writes what a program needs", () => {
    assertEquals(JSON.parse(formatJson(NODES)).slice(0, 2), [
      {
        nodeId: 0,
        state: "alive",
        mark,
        markTime: "2026-11-26T03:00:00.000Z",
        writtenTime: written,
        beat: 0,
        layout: DEFAULT_LAYOUT.key,
        info,
      },
      {
        ...{ nodeId: 7, state: "free", mark: 5, markTime: "2020-01-01T00:00:05.000Z", beat: 2 },
        ...{ layout: NUMBER_LAYOUT.key, info: {} },
      },
    ]);
    assertEquals(JSON.parse(formatJson(NODES)).at(-1), {
      nodeId: 1023,
      state: "unreadable",
      error: "a record must be JSON",
    });
  });

  it("writes one line of ASCII, whatever is on record", () => {
    const layout = "\x1b[2J\n\x9b\u202e\u{1f600}";
    const text = formatJson([{ nodeId: 1, state: "silent", found: foundRecord({ layout }) }]);
    assertMatch(text, /^[ -~]+$/);
    assertEquals(JSON.parse(text)[0].layout, layout);
  });
});
