import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeMessage, type FromWorker, readMessages } from "../../lib/server/control_channel.ts";

const MESSAGES: FromWorker[] = [
  { type: "hello" },
  { type: "ready", port: 9999 },
  { type: "failed", message: "two\nlines, ümläute and 🆔" },
];

/** Reads messages from bytes that arrive in chunks of one size. */
async function readInChunks(bytes: Uint8Array<ArrayBuffer>, size: number): Promise<FromWorker[]> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let i = 0; i < bytes.length; i += size) chunks.push(bytes.slice(i, i + size));
  return await Array.fromAsync(readMessages<FromWorker>(ReadableStream.from(chunks)));
}

describe("readMessages", () => {
  const bytes = new Uint8Array(MESSAGES.flatMap((message) => [...encodeMessage(message)]));

  it("reads messages of encodeMessage whole, however they are cut into chunks", async () => {
    for (let size = 1; size <= bytes.length; size++) assertEquals(await readInChunks(bytes, size), MESSAGES);
  });

  it("drops a message that was cut off", async () => {
    assertEquals(await readInChunks(bytes.slice(0, -1), 16), MESSAGES.slice(0, 2));
    assertEquals(await readInChunks(new Uint8Array(), 1), []);
  });

  it("throws on a line that is no message", async () => {
    await assertRejects(() => readInChunks(new TextEncoder().encode("{}\nhello\n"), 5), SyntaxError);
  });
});
