const ROOT = new URL("../../", import.meta.url).pathname;

/** What became of a command: what it printed, or why it failed. */
export interface Outcome {
  isSuccess: boolean;
  printed: string;
}

/**
 * Runs a command in a network of its own, where this user may do what root may.
 *
 * @param setup A line of sh that sets the network up.
 * @param command The command.
 */
export async function runInNetwork(setup: string, ...command: string[]): Promise<Outcome> {
  const args = ["-rn", "sh", "-c", `${setup} && exec "$@"`, "sh", ...command];
  try {
    const { success, stdout, stderr } = await new Deno.Command("unshare", { args, cwd: ROOT }).output();
    return { isSuccess: success, printed: new TextDecoder().decode(success ? stdout : stderr).trim() };
  } catch (error) {
    return { isSuccess: false, printed: String(error) };
  }
}

/** Whether there can be such a network; says so if not. */
export async function canHaveNetwork(test: string, setup: string): Promise<boolean> {
  const trial = Deno.build.os === "linux"
    ? await runInNetwork(setup, "true")
    : { isSuccess: false, printed: "not Linux" };
  if (!trial.isSuccess) console.warn(`${test}: left out, needs a network of its own: ${trial.printed}`);
  return trial.isSuccess;
}
