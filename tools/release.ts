/**
 * Releases the package: sets the version, dates the changelog, and publishes to JSR.
 *
 *     deno task release 0.2.0             the release itself; commits and tags it
 *     deno task release 0.2.0 --dry-run   all of it but to publish; leaves everything as it was
 *
 * What is published is a copy of the last commit, without `links/`. `--linked` keeps the packages of `links/` in it:
 * for a rehearsal on a machine that cannot reach JSR.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";

/** The heading of what is not released yet. */
const UNRELEASED = "## Unreleased";

/** The files that a release changes. */
const FILES = ["deno.json", "CHANGELOG.md"];

/** Where the copy lies that is published. */
const COPY = ".tmp/release";

/** The release cannot be made; the message says why. */
export class ReleaseError extends Error {
  /** The name of the class. */
  override name = "ReleaseError";
}

/**
 * Sets the version in the text of `deno.json`.
 *
 * @param config The text.
 * @param version The new version; the current one or a later one.
 * @throws {ReleaseError} If it is not a version, or an earlier one.
 */
export function withVersion(config: string, version: string): string {
  const { version: current } = JSON.parse(config) as { version: string };
  if (isBefore(numbersOf(version), numbersOf(current))) {
    throw new ReleaseError(`the version must not be lower than the current one, ${current}: got ${version}`);
  }
  return config.replace(`"version": "${current}"`, `"version": "${version}"`);
}

/**
 * Gives what is unreleased a version and a date, and leaves an empty section for what comes next.
 *
 * @param changelog The text of the changelog.
 * @param version The new version.
 * @param date The day of the release, `YYYY-MM-DD`.
 * @throws {ReleaseError} If nothing is unreleased, or the version is in the changelog already.
 */
export function withRelease(changelog: string, version: string, date: string): string {
  if (changelog.includes(`\n## ${version} `)) throw new ReleaseError(`CHANGELOG.md has a version ${version} already`);
  const [, unreleased] = changelog.split(`\n${UNRELEASED}\n`);
  if (unreleased === undefined) throw new ReleaseError(`CHANGELOG.md has no section "${UNRELEASED}"`);
  if (unreleased.split("\n## ")[0].trim() === "") throw new ReleaseError("CHANGELOG.md has nothing that is unreleased");
  return changelog.replace(`\n${UNRELEASED}\n`, `\n${UNRELEASED}\n\n## ${version} - ${date}\n`);
}

/**
 * Takes the links out of what is published: JSR has the packages that they stand in for. The lock file has none of
 * these packages, and so is not frozen in the copy.
 *
 * @param config The text of deno.json.
 */
export function withoutLinks(config: string): string {
  const { links: _links, lock: _lock, publish, ...rest } = JSON.parse(config);
  const include = publish.include.filter((path: string) => path !== "links");
  return JSON.stringify({ ...rest, publish: { ...publish, include } }, null, 2) + "\n";
}

/**
 * Makes sure that all dependencies are of one version each: whoever installs a release gets what was tested.
 *
 * @param config The text of deno.json.
 * @throws {ReleaseError} If one is not.
 */
export function checkPinned(config: string): void {
  const { imports } = JSON.parse(config) as { imports: Record<string, string> };
  const loose = Object.values(imports).filter((specifier) => !/^(npm|jsr):@?[^@]+@\d+\.\d+\.\d+$/.test(specifier));
  if (loose.length > 0) throw new ReleaseError(`imports must name one version, such as 1.2.3: ${loose.join(", ")}`);
}

function numbersOf(version: string): number[] {
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new ReleaseError(`a version has three numbers, such as 0.2.0: got ${JSON.stringify(version)}`);
  }
  return version.split(".").map(Number);
}

function isBefore(a: number[], b: number[]): boolean {
  const i = a.findIndex((number, i) => number !== b[i]);
  return i >= 0 && a[i] < b[i];
}

async function release(version: string, { isDryRun, isLinked }: { isDryRun: boolean; isLinked: boolean }) {
  if (isLinked && !isDryRun) {
    throw new ReleaseError("--linked is for a --dry-run only: a release is made without links");
  }
  if (await run("git", "status", "--porcelain") !== "") throw new ReleaseError("commit all changes first");
  const [config, changelog] = await Promise.all(FILES.map((file) => Deno.readTextFile(file)));
  checkPinned(config);
  const today = new Date().toISOString().slice(0, 10);
  const released = [withVersion(config, version), withRelease(changelog, version, today)];

  await run("git", "worktree", "add", "--quiet", "--force", "--detach", COPY);
  try {
    await write(COPY, isLinked ? released : [withoutLinks(released[0]), released[1]]);
    await run("deno", "publish", "--config", `${COPY}/deno.json`, "--dry-run", "--allow-dirty");
    if (isDryRun) return;
    await run("deno", "publish", "--config", `${COPY}/deno.json`, "--allow-dirty");
  } finally {
    await run("git", "worktree", "remove", "--force", COPY);
  }
  await write(".", released);
  await run("git", "commit", "--all", "--message", `Release ${version}`);
  await run("git", "tag", "--annotate", `v${version}`, "--message", `Release ${version}`);
}

async function write(directory: string, texts: readonly string[]): Promise<void> {
  await Promise.all(FILES.map((file, i) => Deno.writeTextFile(`${directory}/${file}`, texts[i])));
}

/** Runs a command, and returns what it prints to its standard output. */
async function run(command: string, ...args: string[]): Promise<string> {
  const { code, stdout } = await new Deno.Command(command, { args, stdin: "inherit", stderr: "inherit" }).output();
  if (code !== 0) throw new ReleaseError(`${command} ${args[0]} has failed`);
  return new TextDecoder().decode(stdout).trim();
}

if (import.meta.main) {
  const { _: [version], ...flags } = parseArgs(Deno.args, { boolean: ["dry-run", "linked"], string: ["_"] });
  try {
    await release(`${version ?? ""}`, { isDryRun: flags["dry-run"], isLinked: flags.linked });
    console.log(flags["dry-run"] ? `${version} could be released` : `${version} is released: git push --follow-tags`);
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    console.error(`release: ${error.message}`);
    Deno.exit(1);
  }
}
