import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Libc, openLibc } from "../../lib/libc/libc.ts";
import { ConnectedSocket } from "../../lib/udp/connected_socket.ts";
import { RawSocket } from "../../lib/udp/raw_socket.ts";
import { ReceiveBatch } from "../../lib/udp/receive_batch.ts";
import { SendBatch } from "../../lib/udp/send_batch.ts";
import { encodeAddress } from "../../lib/udp/socket_address.ts";
import { SLOT_BYTES } from "../../lib/udp/udp_socket.ts";
import { libcWithErrno, WRONG_ERRNOS } from "../wrong_errno.ts";

/** Longer than a datagram takes on this machine. */
const TIMEOUT_MS = 500;

/**
 * A socket option: send without checksums. The kernel then refuses messages of several datagrams, as for some devices.
 */
const SO_NO_CHECK = 11;

/** A socket of a kernel that does not know messages of several datagrams. */
class OldSocket extends RawSocket {
  override trySetUdpOption(): boolean {
    return false;
  }
}

/** A socket that is bound, and what it receives. */
class Receiver implements Disposable {
  readonly socket: RawSocket;
  readonly batch: ReceiveBatch;
  readonly address: DataView;
  readonly #slot = new DataView(new ArrayBuffer(SLOT_BYTES));

  constructor(Socket = RawSocket, hostname = "127.0.0.1", timeoutMs = TIMEOUT_MS, libc: Libc = openLibc()) {
    this.socket = new Socket(hostname, 0, timeoutMs, libc);
    this.socket.bind();
    this.batch = new ReceiveBatch(this.socket);
    this.address = addressOf(hostname, this.socket.port);
  }

  /** The next messages, up to so many datagrams in all: of each, its datagrams. */
  messages(datagrams: number): string[][] {
    const messages: string[][] = [];
    while (datagrams > 0) {
      const count = this.batch.receive();
      assert(count > 0, `${datagrams} more datagrams were to come`);
      const announced = this.batch.datagrams;
      for (let message = 0; message < count; message++) {
        const texts = Array.from({ length: this.batch.open(message) }, () => this.#text());
        messages.push(texts);
        datagrams -= texts.length;
      }
      assertEquals(announced, messages.slice(-count).flat().length);
    }
    assertEquals(this.batch.poll(), 0, "nothing more was to come");
    return messages;
  }

  /** The same as one list. */
  datagrams(count: number): string[] {
    return this.messages(count).flat();
  }

  #text(): string {
    const length = this.batch.read(this.#slot);
    return new TextDecoder().decode(new Uint8Array(this.#slot.buffer, 0, length));
  }

  [Symbol.dispose]() {
    this.socket.close();
  }
}

/** A socket that sends. */
class Sender implements Disposable {
  readonly socket: RawSocket;
  readonly batch: SendBatch;

  constructor(Socket = RawSocket, hostname = "127.0.0.1", libc: Libc = openLibc()) {
    this.socket = new Socket(hostname, 0, TIMEOUT_MS, libc);
    this.batch = new SendBatch(this.socket);
  }

  add(...texts: string[]): void {
    for (const text of texts) {
      const { slot } = this.batch;
      const { written } = new TextEncoder().encodeInto(text, new Uint8Array(slot.buffer, slot.byteOffset, SLOT_BYTES));
      this.batch.add(written);
    }
  }

  [Symbol.dispose]() {
    this.socket.close();
  }
}

function addressOf(hostname: string, port: number): DataView {
  return new DataView(encodeAddress(hostname, port).buffer);
}

/** So many texts of the same length. */
function texts(count: number, prefix = ""): string[] {
  return Array.from({ length: count }, (_, i) => prefix + String(i).padStart(4, "0"));
}

if (Deno.build.os === "linux") {
  describe("SendBatch and ReceiveBatch", () => {
    it("carry consecutive datagrams of one receiver and length as one message", () => {
      using receiver = new Receiver();
      using other = new Receiver();
      using sender = new Sender();
      sender.batch.sendTo(receiver.address);
      sender.add("a1", "a2", "a3", "long 1", "long 2", "b1");
      sender.batch.sendTo(other.address);
      sender.add("c1", "c2");
      sender.batch.sendTo(receiver.address);
      sender.add("d1");
      sender.batch.sendTo(receiver.address); // where it goes already
      sender.add("d2");
      assertEquals(sender.batch.flush(), 0);
      assertEquals(receiver.messages(8), [["a1", "a2", "a3"], ["long 1", "long 2"], ["b1"], ["d1", "d2"]]);
      assertEquals(other.messages(2), [["c1", "c2"]]);
    });

    it("carry no more in one message than every Linux takes", () => {
      using receiver = new Receiver();
      using sender = new Sender();
      sender.batch.sendTo(receiver.address);
      sender.add(...texts(130));
      assertEquals(sender.batch.flush(), 0);
      const messages = receiver.messages(130);
      assertEquals(messages.map(({ length }) => length), [64, 64, 2]);
      assertEquals(messages.flat(), texts(130));
    });

    for (
      const [SenderSocket, ReceiverSocket] of [[RawSocket, OldSocket], [OldSocket, RawSocket], [OldSocket, OldSocket]]
    ) {
      it(`carry each datagram alone from a ${SenderSocket.name} to a ${ReceiverSocket.name}`, () => {
        using receiver = new Receiver(ReceiverSocket);
        using sender = new Sender(SenderSocket);
        sender.batch.sendTo(receiver.address);
        sender.add(...texts(70));
        assertEquals(sender.batch.flush(), 0);
        assertEquals(receiver.messages(70), texts(70).map((text) => [text]));
      });
    }

    it("carry more datagrams than a batch holds", () => {
      using receiver = new Receiver();
      using sender = new Sender();
      sender.batch.sendTo(receiver.address);
      const sent: string[] = [];
      const received: string[] = [];
      for (const prefix of ["", "x", "yz"]) { // so that the room ends within a message, and between two
        const more = texts(171, prefix);
        sender.add(...more);
        sent.push(...more);
        if (sent.length > 256) received.push(...receiver.datagrams(256));
      }
      assertEquals(sender.batch.flush(), 0);
      received.push(...receiver.datagrams(sent.length - received.length));
      assertEquals(received, sent);
    });

    it("carry empty datagrams, and cut off datagrams longer than a slot", () => {
      using receiver = new Receiver();
      using sender = new Sender();
      sender.batch.sendTo(receiver.address);
      const full = "x".repeat(SLOT_BYTES);
      sender.add("", "", full, full, "a");
      assertEquals(sender.batch.flush(), 0);
      assertEquals(receiver.datagrams(5), ["", "", full, full, "a"]);
    });

    it("tell the sender of each message, of IPv6 too", () => {
      using receiver = new Receiver(RawSocket, "::1");
      using one = new Receiver(RawSocket, "::1");
      using other = new Receiver(RawSocket, "::1");
      for (const { socket } of [one, other]) {
        const batch = new SendBatch(socket);
        batch.sendTo(receiver.address);
        batch.slot.setUint8(0, 0x41);
        batch.add(1);
        assertEquals(batch.flush(), 0);
      }
      const answers = new SendBatch(receiver.socket);
      for (let left = 2; left > 0;) {
        const count = receiver.batch.receive();
        left -= count;
        for (let message = 0; message < count; message++) {
          answers.sendTo(receiver.batch.senders[message]);
          receiver.batch.open(message);
          receiver.batch.read(answers.slot);
          answers.add(1);
        }
      }
      assertEquals(answers.flush(), 0);
      assertEquals([one.datagrams(1), other.datagrams(1)], [["A"], ["A"]]);
    });

    it("leave out datagrams that the kernel refuses, and count them", () => {
      using receiver = new Receiver();
      using sender = new Sender();
      for (const texts of [["a"], ["a1", "a2", "a3"]]) {
        sender.batch.sendTo(receiver.address);
        sender.add(...texts);
        sender.batch.sendTo(addressOf("127.0.0.1", 0)); // nobody has this port
        sender.add(...texts);
        sender.batch.sendTo(receiver.address);
        sender.add(...texts);
        assertEquals(sender.batch.flush(), texts.length);
        assertEquals(receiver.messages(2 * texts.length).length < 2 * texts.length, texts.length > 1);
        assertEquals(sender.batch.flush(), 0);
      }
    });

    it("send others' messages whole where the kernel refuses one of several datagrams", () => {
      using receiver = new Receiver();
      using sender = new Sender();
      sender.batch.sendTo(addressOf("127.0.0.1", 0)); // nobody has this port
      sender.add(...texts(20));
      sender.batch.sendTo(receiver.address);
      sender.add(...texts(30));
      assertEquals(sender.batch.flush(), 20);
      assertEquals(receiver.messages(30), [texts(30)]);
    });

    it("stop to send messages of several datagrams once the kernel refuses them", () => {
      using receiver = new Receiver();
      using other = new Receiver();
      using sender = new Sender();
      sender.socket.setOption(SO_NO_CHECK, Int32Array.of(1));
      for (let round = 0; round < 2; round++) {
        sender.batch.sendTo(receiver.address);
        sender.add("first");
        sender.batch.sendTo(other.address);
        sender.add(...texts(20, "o"));
        sender.batch.sendTo(receiver.address);
        sender.add(...texts(20));
        sender.batch.sendTo(other.address);
        sender.add("last");
        assertEquals(sender.batch.flush(), 0);
        assertEquals(receiver.messages(21), ["first", ...texts(20)].map((text) => [text]));
        assertEquals(other.messages(21), [...texts(20, "o"), "last"].map((text) => [text]));
      }
      sender.socket.setOption(SO_NO_CHECK, Int32Array.of(0));
      sender.batch.sendTo(receiver.address);
      sender.add("a", "b");
      assertEquals(sender.batch.flush(), 0);
      assertEquals(receiver.messages(2), [["a"], ["b"]]);
    });

    it("keep the address that they send from where the kernel refuses messages", () => {
      const socket = new RawSocket("0.0.0.0", 0, TIMEOUT_MS);
      socket.useLocalAddresses();
      socket.bind();
      const received = new ReceiveBatch(socket);
      const answers = new SendBatch(socket);
      socket.setOption(SO_NO_CHECK, Int32Array.of(1));
      const clients = ["127.0.0.2", "127.0.0.1", "127.0.0.3"].map((hostname) =>
        new ConnectedSocket(hostname, socket.port, TIMEOUT_MS)
      );
      for (let round = 0; round < 2; round++) {
        for (const client of clients) {
          for (let i = 0; i < 5; i++) client.add(1);
          client.send();
        }
        let datagrams = 0;
        while (datagrams < 15) {
          const messages = received.receive();
          for (let message = 0; message < messages; message++) {
            let left = received.open(message);
            answers.sendTo(received.senders[message], received.localAddress);
            for (; left > 0; left--, datagrams++) answers.add(received.read(answers.slot));
          }
        }
        assertEquals(answers.flush(), 0);
        for (const client of clients) {
          let heard = 0;
          while (heard < 5 && client.receive(() => heard++) > 0);
          assertEquals(heard, 5);
        }
      }
      clients.forEach((client) => client.close());
      socket.close();
    });

    it("send all datagrams where the kernel refuses messages in the middle of a full batch", () => {
      using receiver = new Receiver();
      using sender = new Sender();
      sender.socket.setOption(SO_NO_CHECK, Int32Array.of(1));
      sender.batch.sendTo(receiver.address);
      sender.add(...texts(256)); // sends all
      sender.add(...texts(3, "more"));
      const received = receiver.datagrams(256);
      assertEquals(sender.batch.flush(), 0);
      assertEquals([...received, ...receiver.datagrams(3)], [...texts(256), ...texts(3, "more")]);
    });

    for (const code of WRONG_ERRNOS) {
      it(`take a queue without datagrams for empty, whatever errno says: ${code}`, () => {
        using receiver = new Receiver(RawSocket, "127.0.0.1", 1, libcWithErrno(code));
        using sender = new Sender();
        sender.batch.sendTo(receiver.address);
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 3; i++) assertEquals(receiver.batch.receive(), 0);
          assert(!receiver.batch.isFailing);
          sender.add("a", "b");
          assertEquals(sender.batch.flush(), 0);
          assertEquals(receiver.datagrams(2), ["a", "b"]);
        }
      });

      it(`send datagrams one by one where the kernel refuses messages, whatever errno says: ${code}`, () => {
        using receiver = new Receiver();
        using sender = new Sender(RawSocket, "127.0.0.1", libcWithErrno(code));
        sender.socket.setOption(SO_NO_CHECK, Int32Array.of(1));
        sender.batch.sendTo(receiver.address);
        sender.add(...texts(20));
        assertEquals(sender.batch.flush(), 0);
        assertEquals(receiver.datagrams(20), texts(20));
      });

      it(`count the datagrams that the kernel refuses, whatever errno says: ${code}`, () => {
        using receiver = new Receiver();
        using sender = new Sender(RawSocket, "127.0.0.1", libcWithErrno(code));
        for (const texts of [["a"], ["a1", "a2", "a3"]]) {
          sender.batch.sendTo(addressOf("127.0.0.1", 0));
          sender.add(...texts);
          assertEquals(sender.batch.flush(), texts.length);
          sender.batch.sendTo(receiver.address);
          sender.add("b", "c");
          assertEquals(sender.batch.flush(), 0);
          assertEquals(receiver.messages(2), [["b", "c"]], "the socket still sends messages of several datagrams");
        }
      });
    }

    it("send a message again that the kernel refuses for a moment", () => {
      using receiver = new Receiver();
      let refusals = 1;
      const libc = openLibc();
      const sendmmsg: Libc["sendmmsg"] = (...args) => refusals-- > 0 ? -1 : libc.sendmmsg(...args);
      using sender = new Sender(RawSocket, "127.0.0.1", { ...libc, sendmmsg });
      sender.batch.sendTo(receiver.address);
      sender.add("a", "b", "c");
      assertEquals(sender.batch.flush(), 0);
      assertEquals(receiver.messages(3), [["a", "b", "c"]]);
    });

    it("survive receives that fail for a moment, and throw if they fail for seconds", () => {
      let isFailing = true;
      const libc = libcWithErrno(12); // ENOMEM
      const recvmsg: Libc["recvmsg"] = (...args) => isFailing ? -1 : libc.recvmsg(...args);
      const recvmmsg: Libc["recvmmsg"] = (...args) => isFailing ? -1 : libc.recvmmsg(...args);
      using receiver = new Receiver(RawSocket, "127.0.0.1", 1, { ...libc, recvmsg, recvmmsg });
      using sender = new Sender();
      const { now } = performance;
      let nowMs = 0;
      performance.now = () => nowMs;
      try {
        const fail = (seconds: number) => {
          for (const endMs = nowMs + seconds * 1000; nowMs < endMs; nowMs += 10) {
            assertEquals(receiver.batch.receive(), 0);
          }
        };
        sender.batch.sendTo(receiver.address);
        sender.add("a");
        assertEquals(sender.batch.flush(), 0);
        assertEquals(receiver.batch.receive(), 0);
        assert(!receiver.batch.isFailing, "a datagram may have come right after the timeout");
        fail(4.9);
        assert(receiver.batch.isFailing);
        isFailing = false;
        assertEquals(receiver.datagrams(1), ["a"]);
        assertEquals(receiver.batch.receive(), 0);
        isFailing = true;
        sender.add("b");
        assertEquals(sender.batch.flush(), 0);
        fail(5);
        assertThrows(
          () => receiver.batch.receive(),
          Error,
          "the socket cannot receive: 501 receives failed in 5000 ms (probably: Cannot allocate memory)",
        );
      } finally {
        performance.now = now;
      }
    });
  });
}
