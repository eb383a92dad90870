import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { MAX_DEATHS, RestartPolicy, WINDOW_MS } from "../../lib/server/restart_policy.ts";

describe("RestartPolicy", () => {
  it("waits twice as long after every death, and then gives up", () => {
    const policy = new RestartPolicy();
    const delays = Array.from({ length: MAX_DEATHS + 1 }, (_, i) => policy.delayAfterDeath(i));
    assertEquals(delays, [100, 200, 400, 800, 1600, undefined]);
  });

  it("forgets deaths that are long ago", () => {
    const policy = new RestartPolicy();
    for (let i = 0; i < MAX_DEATHS; i++) policy.delayAfterDeath(i);
    assertEquals(policy.delayAfterDeath(WINDOW_MS + 1), 800); // the deaths at 0 and 1 ms no longer count
    assertEquals(policy.delayAfterDeath(10 * WINDOW_MS), 100);
  });
});
