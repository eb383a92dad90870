import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { MAX_DEATHS, RestartPolicy, WINDOW_MS } from "../../lib/server/restart_policy.ts";

describe("RestartPolicy", () => {
  it("doubles the delay after every death, and gives up after the sixth", () => {
    const policy = new RestartPolicy();
    const delays = Array.from({ length: MAX_DEATHS + 1 }, (_, i) => policy.delayAfterDeath(i));
    assertEquals(delays, [100, 200, 400, 800, 1600, undefined]);
  });

  it("forgets deaths of more than a minute ago", () => {
    const policy = new RestartPolicy();
    for (let i = 0; i < MAX_DEATHS; i++) policy.delayAfterDeath(i);
    assertEquals(policy.delayAfterDeath(WINDOW_MS + 1), 800); // the deaths at 0 and 1 ms no longer count
    assertEquals(policy.delayAfterDeath(10 * WINDOW_MS), 100);
  });
});
