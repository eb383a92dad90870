import { assert } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { isClientPort } from "../../lib/udp/client_port.ts";

describe("isClientPort", () => {
  it("is true of the ports that systems give to clients, and of no service's below 1024", () => {
    for (const port of [0, 1, 7, 19, 53, 123, 1023]) assert(!isClientPort(port), `${port}`);
    for (const port of [1024, 32_768, 49_152, 65_535]) assert(isClientPort(port), `${port}`);
  });
});
