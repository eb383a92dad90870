import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ID_HELP, type IdReading, inspectId, parseIdArgs, runIdCommand } from "../../lib/cli/id_command.ts";
import { UsageError } from "../../lib/cli/flags.ts";
import { DEFAULT_LAYOUT, formatId, type IdForm, LAYOUTS, parseId } from "../../mod.ts";

/** How a command line's id can be read. */
function readingsOf(args: string[]): readonly IdReading[] {
  const command = parseIdArgs(args);
  assert(command.kind === "inspect");
  return command.readings;
}

/** The ids of a time, in the default layout. */
function at(time: string): { lowest: bigint; highest: bigint } {
  const command = parseIdArgs(["--at", time]);
  assert(command.kind === "at");
  return command;
}

describe("parseIdArgs", () => {
  it("asks the local server for one id, unless told otherwise", () => {
    assertEquals(parseIdArgs([]), {
      kind: "print",
      from: { hostname: "127.0.0.1", port: [9999] },
      count: 1,
      form: "decimal",
      keyFile: undefined,
      cluster: "global-id",
    });
    assertEquals(parseIdArgs("--host h --port 1,2 --count 10 --form hex --key-file k --cluster c".split(" ")), {
      kind: "print",
      from: { hostname: "h", port: [1, 2] },
      count: 10,
      form: "hex",
      keyFile: "k",
      cluster: "c",
    });
    assertEquals(parseIdArgs(["--help"]), { kind: "help" });
    assertEquals(parseIdArgs(["--version"]), { kind: "version" });
  });

  const servers: [string, object][] = [
    ["h:1,[::1]:2", [{ hostname: "h", port: 1 }, { hostname: "::1", port: 2 }]],
    ["dns:h:1", "dns:h:1"],
    ["store:etcd://h:1,i:2/ids", "store:etcd://h:1,i:2/ids"],
  ].map(([text, servers]) => [text as string, { servers }]);
  for (const [text, from] of servers) {
    it(`reads where several servers are: ${text}`, () => {
      const command = parseIdArgs(["--servers", text]);
      assert(command.kind === "print");
      assertEquals(command.from, from);
    });
  }

  const clusters: [string, string][] = [
    ["--servers store:etcd://h/orders --key-file k", "orders"],
    ["--servers store:etcd://h/orders/ --key-file k", "orders"],
    ["--servers store:etcd://h/orders --key-file k --cluster c", "c"],
    ["--servers store:etcd://h --key-file k", "global-id"],
    ["--servers dns:h:1 --key-file k", "global-id"],
    [`--servers store:etcd://h/${"x".repeat(70)}`, "global-id"],
  ];
  for (const [args, cluster] of clusters) {
    it(`signs for the cluster ${cluster}: ${args}`, () => {
      const command = parseIdArgs(args.split(" "));
      assertEquals(command.kind === "print" && command.cluster, cluster);
    });
  }

  it("reads an id to inspect in every form, told by its width", () => {
    for (const id of [0n, 29210240083821568n, 2n ** 64n - 1n]) {
      for (const form of ["decimal", "hex", "base32", "base62"] as IdForm[]) {
        const [reading, ...others] = readingsOf(["--inspect", formatId(id, form)]);
        assertEquals([reading.id, others], [id, []]);
      }
    }
    assertEquals(readingsOf(["--inspect", "0xDEADBEEF01234567"]), [{ form: "hex", id: 0xdeadbeef01234567n }]);
    assertEquals(readingsOf(["--inspect", "128G-GYHY-YK08-N"]), [{ form: "base32", id: 1234567890123456789n }]);
    assertEquals(parseIdArgs(["--inspect", "42", "--layout", "twitter"]), {
      kind: "inspect",
      readings: [{ form: "decimal", id: 42n }],
      layout: "twitter",
    });
  });

  const ambiguous: [string, IdForm][] = [
    ["12345678901", "base62"],
    ["1234567890123", "base32"],
    ["1300000000000000", "hex"],
  ];
  for (const [text, other] of ambiguous) {
    it(`reads ${text.length} digits as decimal and as ${other}`, () => {
      assertEquals(readingsOf(["--inspect", text]), [
        { form: "decimal", id: BigInt(text) },
        { form: other, id: parseId(text, other) },
      ]);
    });
  }

  it("reads them in one form only if the layout has no such id in the other", () => {
    assertEquals(readingsOf(["--inspect", "1300000000000000", "--layout", "number"]), [
      { form: "decimal", id: 1300000000000000n },
    ]);
  });

  it("knows the ids of a day and of a moment", () => {
    const { lowest, highest } = at("2030-05-01");
    assertEquals(DEFAULT_LAYOUT.timestampOf(lowest).toISOString(), "2030-05-01T00:00:00.000Z");
    assertEquals(DEFAULT_LAYOUT.timestampOf(highest).toISOString(), "2030-05-01T23:59:59.000Z");
    assertEquals(at("2030-05-02").lowest, highest + 1n);

    const moment = at("2030-05-01T14:00:00+02:00");
    assertEquals(moment.lowest, DEFAULT_LAYOUT.lowestIdAt(Date.UTC(2030, 4, 1, 12)));
    assertEquals(moment.highest - moment.lowest, 2n ** 27n - 1n);
    assertEquals(at("2030-05-01T12:00Z").lowest, moment.lowest);
  });

  it("reads it in the form it is told, where the width tells another", () => {
    const decimal = parseIdArgs(["--inspect", "1234567890123", "--form", "decimal"]);
    const readings = [{ form: "decimal" as const, id: 1234567890123n }];
    assertEquals(decimal, { kind: "inspect", readings, layout: "default" });
  });

  const refused: [string[], string][] = [
    [["--count", "0"], '--count must be an integer from 1 to 1000000000: got "0"'],
    [["--port", "1,x"], '--port must be an integer from 1 to 65535: got "x"'],
    [["--form", "roman"], '--form must be one of decimal, hex, base32, base62: got "roman"'],
    [["--layout", "x"], "--layout must be one of default, wide"],
    [["--inspect", "#"], 'an id as decimal is 1 to 20 decimal digits: got "#"; --form says which form it is in'],
    [["--inspect", "99999999999999999999"], "id must be from 0 to 18446744073709551615 (64 bits)"],
    [
      ["--inspect", "00009007199254740992", "--layout", "number"],
      "--inspect: id must be from 0 to 9007199254740991 (53 bits): got 9007199254740992; --layout says how it is laid out",
    ],
    [["--at", "2030-02-30"], "--at must be a day, such as 2030-05-01, or a moment with its time zone"],
    [["--at", "2030-05-01T12:00:00"], "--at must be a day"],
    [["--at", "1 May 2030"], 'such as 2030-05-01T12:00:00Z: got "1 May 2030"'],
    [["--at", "2019-12-31"], "--at: "],
    [["--servers", "h"], '--servers: a server must be "host:port"'],
    [["--servers", "h:1,i:0"], '--servers: the port in "i:0" must be'],
    [["--servers", "dns:h"], '--servers: a server must be "host:port"'],
    [["--servers", "store:/x"], '--servers: servers can be "store:etcd://…"'],
    [["--servers", "h:1", "--port", "2"], "--servers takes the place of --host and --port"],
    [["--cluster", "c"], "--cluster says nothing without --key-file"],
    [
      ["--servers", `store:etcd://h/${"x".repeat(70)}`, "--key-file", "k"],
      "--cluster must be given, since the store's name is not 1 to 64",
    ],
    [["extra"], '"extra" is not a flag of this command'],
  ];
  for (const [args, message] of refused) {
    it(`refuses: ${args.join(" ")}`, () => {
      assertThrows(() => parseIdArgs(args), UsageError, message);
    });
  }

  it("has a line of help for every flag", () => {
    const message = assertThrows(() => parseIdArgs(["--?"]), UsageError).message;
    for (const [flag] of message.slice(message.indexOf("there are")).matchAll(/--[a-z-]+/g)) {
      assertEquals(ID_HELP.split("\n").filter((line) => line.startsWith(`  ${flag} `)).length, 1, flag);
    }
  });
});

describe("runIdCommand", () => {
  it("reports a command line that is wrong, and ends with 2", async () => {
    using output = new CapturedConsole();
    assertEquals(await runIdCommand(["--count", "0"]), 2);
    assertEquals(output.errors, ['global-id: --count must be an integer from 1 to 1000000000: got "0"']);
  });

  it("does not report an error in the program as a wrong command line", async () => {
    using output = new CapturedConsole();
    output.failure = new RangeError("something is out of range inside");
    assertEquals(await assertRejects(() => runIdCommand(["--inspect", "42"])), output.failure);
    assertEquals(output.errors, []);
  });
});

/** As long as it is there, it keeps what is printed as an error, and printing anything else fails if it is to. */
class CapturedConsole implements Disposable {
  readonly #log = console.log;
  readonly #error = console.error;
  readonly errors: string[] = [];
  failure: Error | undefined;

  constructor() {
    console.error = (line) => void this.errors.push(line);
    console.log = () => {
      if (this.failure !== undefined) throw this.failure;
    };
  }

  [Symbol.dispose](): void {
    console.log = this.#log;
    console.error = this.#error;
  }
}

describe("inspectId", () => {
  it("shows the parts and all text forms", () => {
    assertEquals(
      inspectId(29210240083821568n, DEFAULT_LAYOUT),
      [
        "time      2026-11-23T21:40:48.000Z",
        "tick      217633248 (of 1000 ms since 2020-01-01T00:00:00.000Z)",
        "sequence  1 (of 0 to 131071)",
        "node id   0 (of 0 to 1023)",
        "decimal   00029210240083821568",
        "hex       0067c68f00000400",
        "base32    00SY6HW000100",
        "base62    029mYekSwRE",
      ].join("\n"),
    );
  });

  it("refuses an id that the layout cannot have made", () => {
    assertThrows(
      () => inspectId(2n ** 53n, LAYOUTS.number),
      RangeError,
      "id must be from 0 to 9007199254740991 (53 bits)",
    );
  });
});
