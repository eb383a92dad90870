import { assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type OddEnvironment, printedIn } from "./odd_environment.ts";

/** What a server prints in any case, besides the lines that a test expects. */
const USUAL = /^global-id: (the clock is |node 0 on |try it: )/;

/** A shell's commands that put a `taskset` first in PATH, which does as told. */
function taskset(body: string): string {
  return `mkdir "$STATE/bin"; printf '#!/bin/sh\\n%s\\n' '${body}' > "$STATE/bin/taskset"; chmod +x "$STATE/bin/taskset"
export REAL="$PATH" PATH="$STATE/bin:$PATH"`;
}

const REFUSING = 'echo "taskset: failed to set the affinity of pid 7: Operation not permitted" >&2; exit 1';

/** What is odd; the environment; what the server says of it, besides the usual lines. */
const SERVES: [string, OddEnvironment, RegExp[]][] = [
  [
    "variables of the loader, whose names anybody may have chosen",
    { env: { LD_LIBRARY_PATH: "/nowhere", LD_SDK_KEY: "x", DYLD_X: "x" } },
    [/the workers start without (LD_LIBRARY_PATH|LD_SDK_KEY|DYLD_X|, ){5}, which Deno .*--allow-run instead of /],
  ],
  ["an empty variable of the loader", { env: { LD_PRELOAD: "" } }, []],
  ["variables of the loader that may be passed on", {
    env: { LD_SDK_KEY: "x" },
    permissions: "-P=serve --allow-run",
  }, []],
  ["64 open files", { script: "ulimit -n 64" }, []],
  ["umask 077", { script: "umask 077" }, []],
  ["no home directory, but --state", { script: "unset HOME" }, []],
  ["a language of its own", { env: { LC_ALL: "de_DE.UTF-8", LANGUAGE: "de" } }, []],
  ["a system that tells no CPUs", { script: taskset(REFUSING) }, [
    /the workers are not pinned to CPUs: taskset: failed to set the affinity of pid 7: Operation not permitted/,
  ]],
  ["a system that lets nobody choose CPUs", {
    script: taskset(`[ $# = 2 ] && PATH="$REAL" exec taskset "$@"; ${REFUSING}`),
  }, [/the workers are not pinned to CPUs: taskset: failed to set the affinity of pid 7: Operation not permitted/]],
  ["a system that kills who chooses CPUs", { script: taskset("kill -SYS $$") }, [
    /the workers are not pinned to CPUs: taskset ended with SIGSYS/,
  ]],
];

const REFUSES: [string, OddEnvironment, RegExp][] = [
  ["no home directory", { script: "unset HOME", flags: "" }, /there is no home directory to keep .*with --state$/],
  ["an empty HOME", { env: { HOME: "" }, flags: "" }, /there is no home directory to keep .*with --state$/],
  [
    "a home where nothing can be",
    { env: { HOME: "/proc/nowhere" }, flags: "" },
    /the state directory \/proc\/nowhere\/.global-id cannot be used: .*; choose another with --state$/,
  ],
  [
    "loader variables, and no permission to look for them",
    { env: { LD_SDK_KEY: "x" }, permissions: "-P=serve --deny-env=LD_SDK_KEY" },
    /a worker cannot be started: .*LD_SDK_KEY environment variable.* With --allow-env, the server does so itself\.$/,
  ],
  [
    "a PATH without the programs",
    { script: "PATH=/nowhere" },
    /permission --allow-run=taskset,deno is missing, or neither program is in PATH$/,
  ],
];

describe("a server serves, and says all that it must, in", () => {
  for (const [what, environment, expected] of SERVES) {
    it(what, async () => {
      const printed = await printedIn(environment);
      assertMatch(printed, /try it/);
      const lines = printed.trim().split("\n").filter((line) => !USUAL.test(line));
      assertEquals(lines.length, expected.length, printed);
      for (const [i, pattern] of expected.entries()) assertMatch(lines[i], pattern);
    });
  }
});

describe("a server says why it cannot serve, and what to do, in", () => {
  for (const [what, environment, expected] of REFUSES) {
    it(what, async () => {
      const printed = await printedIn(environment);
      assertNotMatch(printed, /\n\s+at /); // no stack
      assertMatch(printed.trim().split("\n").at(-1) ?? "", expected);
    });
  }
});
