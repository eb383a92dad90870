import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  ChannelError,
  encodeMessage,
  readLines,
  readMessages,
  type ToWorker,
} from "../../lib/server/control_channel.ts";

const MESSAGES = [
  { type: "drain" },
  { type: "mark", mark: 217_633_249 },
  { type: "start", config: { hostname: "two\nlines, ümläute and 🆔" } },
] as ToWorker[];

/** Reads messages from bytes that arrive in chunks of one size. */
async function readInChunks(bytes: Uint8Array<ArrayBuffer>, size: number): Promise<ToWorker[]> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let i = 0; i < bytes.length; i += size) chunks.push(bytes.slice(i, i + size));
  return await Array.fromAsync(readMessages(ReadableStream.from(chunks)));
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

describe("readLines", () => {
  it("throws on a line that is too long, whether it has an end or not", async () => {
    for (const text of ["12345", "12345\n", "1234\n12345\n1"]) {
      const lines = readLines(ReadableStream.from([new TextEncoder().encode(text)]), 4);
      await assertRejects(() => Array.fromAsync(lines), ChannelError, "a line of more than 4 characters");
    }
    const lines = readLines(ReadableStream.from([new TextEncoder().encode("1234\n\n1234")]), 4);
    assertEquals(await Array.fromAsync(lines), ["1234", ""]);
  });
});
