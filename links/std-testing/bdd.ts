/**
 * `@std/testing/bdd`, from the runtime's own `node:test`, which has the same functions. They are declared in the forms
 * only that both have: with an options object as its only argument, a test of `node:test` would run nothing, and pass.
 */
import * as test from "node:test";

/** A suite, or a test. */
interface Block {
  (name: string, fn: () => void | Promise<void>): void;
  /** The same, but left out. */
  skip(name: string, fn: () => void | Promise<void>): void;
}

type Hook = (fn: () => void | Promise<void>) => void;

export const describe: Block = test.describe;
export const it: Block = test.it;
export const beforeAll: Hook = test.before;
export const afterAll: Hook = test.after;
export const beforeEach: Hook = test.beforeEach;
export const afterEach: Hook = test.afterEach;
