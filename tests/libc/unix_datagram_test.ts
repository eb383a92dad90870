import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeUnixAddress, sendDatagram } from "../../lib/libc/unix_datagram.ts";
import { NotifySocket } from "../../testing/notify_socket.ts";
import { TempDir } from "../../testing/temp_dir.ts";

describe("sendDatagram", () => {
  it("sends to a socket with a path, and to one without", async () => {
    await using dir = await TempDir.make();
    for (const name of [`${dir.path}/socket`, `@global-id-${crypto.randomUUID()}`]) {
      await using socket = new NotifySocket(name);
      const texts = ["READY=1", "STATUS=größer", "x".repeat(4096)];
      for (const text of texts) sendDatagram(name, text);
      await socket.says(/^x+$/);
      assertEquals(socket.messages, texts);
    }
  });

  it("fails if nobody listens", async () => {
    await using dir = await TempDir.make();
    assertThrows(() => sendDatagram(`${dir.path}/none`, "x"), Error, "cannot send to the socket");
    assertThrows(() => sendDatagram(`@${crypto.randomUUID()}`, "x"), Error, "cannot send to the socket");
  });
});

describe("encodeUnixAddress", () => {
  it("ends a path with a zero, and begins an abstract name with one", () => {
    assertEquals([...encodeUnixAddress("/a")], [1, 0, 47, 97, 0]);
    assertEquals([...encodeUnixAddress("@ab")], [1, 0, 0, 97, 98]);
  });

  it("refuses what is no name", () => {
    for (const name of ["", "@", "/", "a", "vsock:2:3", "/" + "x".repeat(107)]) {
      assertThrows(() => encodeUnixAddress(name), TypeError, `got ${JSON.stringify(name)}`);
    }
    assertEquals(encodeUnixAddress("/" + "x".repeat(106)).length, 110);
  });
});
