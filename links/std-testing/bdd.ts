/** `@std/testing/bdd`, from the runtime's own `node:test`, which has the same functions. */
export { after as afterAll, afterEach, before as beforeAll, beforeEach, describe, it } from "node:test";
