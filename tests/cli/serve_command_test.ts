import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { UsageError } from "../../lib/cli/flags.ts";
import { parseServeArgs, SERVE_HELP } from "../../lib/cli/serve_command.ts";
import type { ServeOptions } from "../../lib/server/serve_options.ts";
import { DEFAULTS } from "../server/serve_defaults.ts";

describe("parseServeArgs", () => {
  const understood: [string[], Partial<ServeOptions>][] = [
    [[], {}],
    [["--node-id", "1023"], { node: 1023 }],
    [["--node-id", "auto"], { node: "auto" }],
    [["--node-id", "ordinal", "--node-id-base", "16"], { node: "ordinal", nodeIdBase: 16 }],
    [["--store", "/x/r.sqlite"], { store: "/x/r.sqlite" }],
    [["--store", "etcd://h/ids", "--key-file", "/k"], {
      store: "etcd://h/ids",
      node: "auto",
      keyFile: "/k",
      cluster: "ids",
    }],
    [["--store", "postgres://u@h/my%2Ddb", "--key-file", "/k"], {
      store: "postgres://u@h/my%2Ddb",
      node: "auto",
      keyFile: "/k",
      cluster: "my-db",
    }],
    [["--store", "etcd://h", "--node-id", "3", "--trust-store"], { store: "etcd://h", node: 3, trustStore: true }],
    [["--store", "postgres://u@h/orders", "--key-file", "/k", "--cluster", "c"], {
      store: "postgres://u@h/orders",
      node: "auto",
      keyFile: "/k",
      cluster: "c",
    }],
    [["--layout", "sonyflake", "--node-id", "65535"], { layout: "sonyflake", node: 65_535 }],
    [["--host", "::1", "--port", "0"], { hostnames: ["::1"], port: 0 }],
    [["--host", "::1", "--host=192.0.2.1", "--host", "::1"], { hostnames: ["::1", "192.0.2.1"] }],
    [["--workers", "3", "--backend", "listen-datagram"], { workers: 3, backend: "listen-datagram" }],
    [["--max-drift", "100"], { maxDriftMs: 100 }],
    [["--clock", "logical"], { clockPolicy: "logical" }],
    [["--allow", "10.0.0.0/8", "--allow=2001:db8::1"], { allow: ["10.0.0.0/8", "2001:db8::1"] }],
    [["--key-file", "/k", "--source-share", "25"], { keyFile: "/k", sourceShare: 25 }],
    [["--source-share", "1", "--source-prefix", "48"], { sourceShare: 1, sourcePrefix: 48 }],
    [["--key-file", "/k", "--cluster", "eu-1"], { keyFile: "/k", cluster: "eu-1" }],
    [["--max-count", "4294967295"], { maxCount: 2 ** 32 - 1 }],
    [["--replace"], { isReplacing: true }],
    [["--backend=reuseport", "--state=/x"], { backend: "reuseport", stateDir: "/x" }],
  ];
  for (const [args, options] of understood) {
    it(`understands: ${args.join(" ") || "nothing"}`, () => {
      assertEquals(parseServeArgs(args), { kind: "serve", options: { ...DEFAULTS, ...options } });
    });
  }

  for (const store of ["postgres://u@h/my%20db", `etcd://h/${"x".repeat(70)}`]) {
    it(`takes a store whose name is no cluster's, and with a key asks for one: ${store}`, () => {
      assertEquals(parseServeArgs(["--store", store]), {
        kind: "serve",
        options: { ...DEFAULTS, store, node: "auto" },
      });
      const withKey = ["--store", store, "--key-file", "/k"];
      assertThrows(
        () => parseServeArgs(withKey),
        UsageError,
        "--cluster must be given, since the store's name is not 1 to 64",
      );
      const command = parseServeArgs([...withKey, "--cluster", "c"]);
      assertEquals(command.kind === "serve" && command.options.cluster, "c");
    });
  }

  it("understands --help and --version", () => {
    assertEquals(parseServeArgs(["--help"]), { kind: "help" });
    assertEquals(parseServeArgs(["--version"]), { kind: "version" });
  });

  const refused: [string[], string][] = [
    [["--allow", "10.0.0.1/8"], '--allow: "10.0.0.1/8" has bits set after its prefix'],
    [["--allow", "example.org"], "--allow: a range is an IP address"],
    [["--source-share", "0"], "--source-share must be an integer from 1 to 100"],
    [["--max-count", "0"], "--max-count must be an integer from 1 to 4294967295"],
    [["--source-share", "1", "--source-prefix", "65"], "--source-prefix must be an integer from 32 to 64"],
    [["--node-id", "1024"], '--node-id must be an integer from 0 to 1023: got "1024"'],
    [["--node-id", "256", "--layout", "number"], '--node-id must be an integer from 0 to 255: got "256"'],
    [["--node-id", "first"], '--node-id must be an integer from 0 to 1023, auto or ordinal: got "first"'],
    [["--store", "redis://h"], "--store: a store is a path, sqlite:PATH, etcd://"],
    [["--store", "etcd://u:p@h"], "--store: the URL of an etcd store must not have a password"],
    [
      ["--key-file", "/k", "--cluster", "a b"],
      '--cluster must be 1 to 64 printable ASCII characters without spaces: got "a b"',
    ],
    [["--cluster", "c"], "--cluster says nothing without --key-file: give both, or leave it out"],
    [["--source-prefix", "48"], "--source-prefix says nothing without --source-share"],
    [["--node-id-base", "16"], "--node-id-base says nothing without --node-id ordinal"],
    [["--node-id-base", "0", "--node-id", "7"], "--node-id-base says nothing without --node-id ordinal"],
    [["--trust-store"], "--trust-store says nothing without --store, of a store that machines share"],
    [["--trust-store", "--store", "/x/r.sqlite"], "--trust-store says nothing without --store, of a store"],
    [["--port", "65536"], '--port must be an integer from 0 to 65535: got "65536"'],
    [["--workers", "0"], '--workers must be an integer from 1 to 1024: got "0"'],
    [["--backend", "tcp"], '--backend must be one of reuseport, listen-datagram: got "tcp"'],
    [["--max-drift", "0"], '--max-drift must be an integer from 1 to 86400000: got "0"'],
    [["--clock", "sundial"], '--clock must be one of refuse, logical: got "sundial"'],
    [
      ["--layout", "x"],
      "--layout must be one of default, wide, dense, number, twitter, discord, sonyflake, instagram: got",
    ],
    [["--host", "localhost"], "--host must be an IPv4 or IPv6 address, such as 127.0.0.1, 0.0.0.0 or ::1: got"],
    [["--host", "fe80::1%eth0"], "--host must be an IPv4 or IPv6 address, such as 127.0.0.1, 0.0.0.0 or ::1: got"],
    [
      ["--verbose"],
      '"--verbose" is not a flag of this command: there are --node-id, --node-id-base, --store, --port, --workers, --backend',
    ],
  ];
  for (const [args, message] of refused) {
    it(`refuses: ${args.join(" ")}`, () => {
      assertThrows(() => parseServeArgs(args), UsageError, message);
    });
  }

  it("has a line of help for every flag", () => {
    const message = assertThrows(() => parseServeArgs(["--?"]), UsageError).message;
    for (const [flag] of message.slice(message.indexOf("there are")).matchAll(/--[a-z-]+/g)) {
      assertEquals(SERVE_HELP.split("\n").filter((line) => line.startsWith(`  ${flag} `)).length, 1, flag);
    }
  });
});
