import { assert, assertMatch, assertNotMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type OddEnvironment, printedIn } from "./odd_environment.ts";

const NAMESPACE = ["unshare", "--mount"];
const CGROUP = "/sys/fs/cgroup/cpu/global-id-test";

/** What is odd; the environment, which takes root; what the server says; whether it serves. */
const ENVIRONMENTS: { what: string; environment: OddEnvironment; says: RegExp; isServing: boolean }[] = [
  {
    what: "a root without /dev",
    environment: { runner: NAMESPACE, script: "mount -t tmpfs none /dev" },
    says:
      /its reservation ends: cannot make \/dev\/shm\/.*No such file or directory.* a tmpfs at \/dev\/shm, .*\n[^]*\(reuseport, on CPU/,
    isServing: true,
  },
  {
    what: "a /dev/shm that is full",
    environment: {
      runner: NAMESPACE,
      script: "mount -t tmpfs -o size=4k none /dev/shm; head -c 4096 /dev/zero > /dev/shm/filler",
    },
    says: /there is no room for [0-9]+ bytes of shared memory: No space left on device/,
    isServing: true,
  },
  {
    what: "a system that does not tell its boot",
    environment: { runner: NAMESPACE, script: "mount -t tmpfs none /proc/sys" },
    says: /the system does not say which boot this is/,
    isServing: true,
  },
  {
    what: "a read-only state directory",
    environment: { runner: NAMESPACE, script: 'mount -t tmpfs -o ro,mode=700 none "$STATE"' },
    says: /the state directory .* cannot be used: Read-only file system .*; choose another with --state\n$/,
    isServing: false,
  },
  {
    what: "a state directory that is full, at the first start",
    environment: {
      runner: NAMESPACE,
      script: 'mount -t tmpfs -o size=4k,mode=700 none "$STATE"; head -c 4096 /dev/zero > "$STATE/filler"',
    },
    says: /^global-id: .* cannot be used: database or disk is full\n$/,
    isServing: false,
  },
  {
    what: "a read-only root",
    environment: {
      runner: NAMESPACE,
      script: 'mount --bind "$STATE" "$STATE"; mount -o remount,ro,bind /',
    },
    says: /on CPU/,
    isServing: true,
  },
  {
    what: "a container, as its process 1",
    environment: { runner: ["unshare", "--fork", "--pid", "--mount-proc"] },
    says: /on CPU/,
    isServing: true,
  },
  {
    what: "half a CPU",
    environment: {
      script: `mkdir -p ${CGROUP} && echo 50000 > ${CGROUP}/cpu.cfs_quota_us && echo $$ > ${CGROUP}/tasks`,
      isForAllCpus: true,
    },
    says: /1 worker \(reuseport, on CPU [0-9]+\)/,
    isServing: true,
  },
];

/** Why this machine cannot make an environment; `undefined` if it can. */
async function whyNot({ script, runner = ["env"] }: OddEnvironment): Promise<string | undefined> {
  const [command, ...args] = [...runner, "sh", "-c", `set -e; STATE=$(mktemp -d); ${script ?? ""}`];
  const { success, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  return success ? undefined : new TextDecoder().decode(stderr).trim();
}

describe("a server says the truth in", () => {
  for (const { what, environment, says, isServing } of ENVIRONMENTS) {
    it(what, async () => {
      const reason = await whyNot(environment);
      if (reason !== undefined) {
        return console.warn(`environment_full_test, ${what}: left out, since it needs root and more (${reason})`);
      }
      const printed = await printedIn(environment);
      await new Deno.Command("rmdir", { args: [CGROUP], stderr: "null" }).output();
      assertMatch(printed, says);
      assertNotMatch(printed, /\n\s+at /); // no stack
      assert(isServing === /try it/.test(printed), printed);
    });
  }
});
