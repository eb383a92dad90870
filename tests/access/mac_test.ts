import { assert, assertEquals, assertNotEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createHash, createHmac } from "node:crypto";
import { Mac, timeOf } from "../../lib/access/mac.ts";
import { SIGNED_BYTES } from "../../lib/wire/protocol.ts";
import { writeRangeRequest } from "../../lib/wire/request.ts";
import { bytes, hex } from "../wire/bytes.ts";
import { Random } from "./random.ts";

const KEY = bytes("dd8ad9f816066dc8c8044c9361628c0305c21f5648eef079f552ec4705db0df8");

// The MACs are from Python: hmac.new(KEY, context + message, "sha256").digest()[:16].
const REQUEST = "03" + "00" + "0000" + "00000003" + "89abcdef01234567" + "0000019abcdef012" + "0f1e2d3c4b5a6978" +
  "c623c0a037c872e6ffb8326d04d6352a";
const RESPONSE = "03" + "00" + "0000" + "00000003" + "89abcdef01234567" + "00000091a0000405" + "0000000000000800" +
  "02fd16d3dfd9cc0a5ed95547a39ae265";

function view(text: string): DataView {
  return new DataView(bytes(text).buffer);
}

function hexOf(datagram: DataView): string {
  return hex(new Uint8Array(datagram.buffer, datagram.byteOffset, SIGNED_BYTES));
}

/** A context as docs/protocol.md describes it. */
function contextOf(kind: "request" | "response", cluster: string): Uint8Array {
  const label = `global-id v1 signed ${kind}`.padEnd(32, "\0");
  return new Uint8Array([...new TextEncoder().encode(label), ...createHash("sha256").update(cluster).digest()]);
}

/** What Node says that the MAC is. */
function macByNode(key: Uint8Array, ...message: Uint8Array[]): Uint8Array {
  const mac = createHmac("sha256", key);
  for (const part of message) mac.update(part);
  return mac.digest().subarray(0, 16);
}

/** What WebCrypto says that it is. */
async function macByWebCrypto(key: Uint8Array<ArrayBuffer>, context: string, message: string): Promise<string> {
  const isExtractable = false;
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, isExtractable, ["sign"]);
  const digest = await crypto.subtle.sign(algorithm, imported, bytes(context + message));
  return hex(new Uint8Array(digest, 0, 16));
}

/** Every datagram that differs in one bit. */
function* flips(datagram: string): Generator<[DataView, number]> {
  for (let bit = 0; bit < 8 * SIGNED_BYTES; bit++) {
    const flipped = view(datagram);
    flipped.setUint8(bit >> 3, flipped.getUint8(bit >> 3) ^ 0x80 >> (bit & 7));
    yield [flipped, bit];
  }
}

const REQUEST_CONTEXT = contextOf("request", "global-id");
const RESPONSE_CONTEXT = contextOf("response", "global-id");

describe("Mac, against bytes written out by hand", () => {
  const mac = new Mac(KEY);

  it("signs a request", () => {
    const datagram = new DataView(new Uint8Array(64).fill(0xee).buffer, 8);
    writeRangeRequest(datagram, 3, 0x89abcdef, 0x01234567);
    assertEquals(mac.signRequest(datagram, 0x19abcdef012, 0x0f1e2d3c, 0x4b5a6978), 48);
    assertEquals(hexOf(datagram), REQUEST);
    assertEquals(hex(new Uint8Array(datagram.buffer, 56)), "ee".repeat(8));
    assertEquals(timeOf(datagram), 0x19abcdef012);
  });

  it("signs the response over the request", () => {
    const datagram = view(RESPONSE.slice(0, 64) + REQUEST.slice(64));
    assertEquals(mac.signResponse(datagram), 48);
    assertEquals(hexOf(datagram), RESPONSE);
  });

  it("signs as docs/protocol.md says, and as WebCrypto does", async () => {
    const [requestContext, responseContext] = [REQUEST_CONTEXT, RESPONSE_CONTEXT].map(hex);
    assertEquals(await macByWebCrypto(KEY, requestContext, REQUEST.slice(0, 64)), REQUEST.slice(64));
    assertEquals(
      await macByWebCrypto(KEY, responseContext, RESPONSE.slice(0, 64) + REQUEST.slice(64)),
      RESPONSE.slice(64),
    );
    const vector = [
      ["key                   ", hex(KEY)],
      ["context of requests   ", requestContext],
      ["signed request        ", REQUEST],
      ["context of responses  ", responseContext],
      ["signed response       ", RESPONSE],
    ].map(([name, digits]) => `    ${name}${digits.match(/.{1,64}/g)?.join(`\n${" ".repeat(26)}`)}\n`).join("");
    assertStringIncludes(await Deno.readTextFile("docs/protocol.md"), vector);
  });

  it("signs a range response, whose first byte differs", () => {
    const datagram = view("02" + RESPONSE.slice(2, 64) + REQUEST.slice(64));
    mac.signResponse(datagram);
    assertEquals(hexOf(datagram), RESPONSE);
  });

  it("verifies request and response, and changes neither", () => {
    const [request, response] = [view(REQUEST), view(RESPONSE)];
    assert(mac.verifyRequest(request, 48));
    assert(mac.verifyResponse(response, 48, request));
    assertEquals([hexOf(request), hexOf(response)], [REQUEST, RESPONSE]);
  });

  it("refuses a request with any bit changed", () => {
    for (const [request, bit] of flips(REQUEST)) assert(!mac.verifyRequest(request, 48), `bit ${bit}`);
  });

  it("refuses a response with any bit changed", () => {
    const request = view(REQUEST);
    for (const [response, bit] of flips(RESPONSE)) assert(!mac.verifyResponse(response, 48, request), `bit ${bit}`);
  });

  it("refuses the response to a request whose MAC differs in any bit", () => {
    for (const [request, bit] of flips(REQUEST)) {
      assertEquals(mac.verifyResponse(view(RESPONSE), 48, request), bit < 8 * 32, `bit ${bit}`);
    }
  });

  it("refuses a response as a request, and a request as a response", () => {
    assert(!mac.verifyRequest(view(RESPONSE), 48));
    assert(!mac.verifyResponse(view(REQUEST), 48, view(REQUEST)));
    assert(!mac.verifyResponse(view(RESPONSE), 48, view(RESPONSE)));
  });

  it("refuses another first byte even with a good MAC", () => {
    for (let first = 0; first < 256; first++) {
      const request = bytes(REQUEST);
      request[0] = first;
      request.set(macByNode(KEY, REQUEST_CONTEXT, request.subarray(0, 32)), 32);
      assertEquals(mac.verifyRequest(new DataView(request.buffer), 48), first === 3);
      const response = bytes(RESPONSE);
      response[0] = first;
      response.set(macByNode(KEY, RESPONSE_CONTEXT, response.subarray(0, 32), request.subarray(32)), 32);
      assertEquals(mac.verifyResponse(new DataView(response.buffer), 48, new DataView(request.buffer)), first === 3);
    }
  });

  it("refuses every other length", () => {
    const [request, response] = [new DataView(new ArrayBuffer(64)), new DataView(new ArrayBuffer(64))];
    new Uint8Array(request.buffer).set(bytes(REQUEST));
    new Uint8Array(response.buffer).set(bytes(RESPONSE));
    for (let length = 0; length <= 64; length++) {
      assertEquals(mac.verifyRequest(request, length), length === 48);
      assertEquals(mac.verifyResponse(response, length, request), length === 48);
    }
  });

  it("refuses datagrams that were signed with another key", () => {
    for (let bit = 0; bit < 8 * KEY.length; bit++) {
      const key = KEY.slice();
      key[bit >> 3] ^= 0x80 >> (bit & 7);
      const other = new Mac(key);
      assert(!other.verifyRequest(view(REQUEST), 48));
      assert(!other.verifyResponse(view(RESPONSE), 48, view(REQUEST)));
    }
  });
});

describe("Mac, for clusters", () => {
  const clusters = ["global-id", "global-i", "global-id2", "Global-id", "a", "b", "~".repeat(64), "~".repeat(63)];

  it("verifies requests and responses of its own cluster only", () => {
    for (const cluster of clusters) {
      const mac = new Mac(KEY, cluster);
      const [request, response] = [view(REQUEST), view(RESPONSE.slice(0, 64) + REQUEST.slice(64))];
      mac.signRequest(request, 1, 2, 3);
      mac.signResponse(response);
      for (const name of clusters) {
        const other = new Mac(KEY, name);
        assertEquals(other.verifyRequest(request, 48), name === cluster);
        assertEquals(other.verifyResponse(response, 48, view(REQUEST)), name === cluster);
      }
    }
  });

  it("makes another MAC for a response than for a request of the same bytes", () => {
    // The first message is a response's; as a request, it would be 16 bytes longer than any request is.
    const message = [bytes(RESPONSE).subarray(0, 32), bytes(REQUEST).subarray(32)];
    const response = view(RESPONSE.slice(0, 64) + REQUEST.slice(64));
    new Mac(KEY).signResponse(response);
    assertEquals(hexOf(response).slice(64), hex(macByNode(KEY, RESPONSE_CONTEXT, ...message)));
    assertNotEquals(hexOf(response).slice(64), hex(macByNode(KEY, REQUEST_CONTEXT, ...message)));
  });

  it("refuses a wrong name", () => {
    assertThrows(() => new Mac(KEY, ""), RangeError, "cluster must be 1 to 64 printable ASCII characters");
  });
});

describe("Mac", () => {
  it("agrees with Node's HMAC, for keys of every length up to twice a block of SHA-256, in any order of calls", () => {
    const random = new Random(4);
    for (let keyBytes = 32; keyBytes <= 128; keyBytes++) {
      const key = random.bytes(keyBytes);
      const cluster = "c".repeat(keyBytes % 64 + 1);
      const mac = new Mac(key, cluster);
      for (let i = 0; i < 8; i++) {
        const data = random.bytes(48);
        const datagram = new DataView(data.buffer);
        mac.signRequest(datagram, random.word() * 2 ** 21 + random.below(2 ** 21), random.word(), random.word());
        const request = data.slice();
        assertEquals(
          hex(request.subarray(32)),
          hex(macByNode(key, contextOf("request", cluster), request.subarray(0, 32))),
        );
        if (i % 2 === 0) assert(mac.verifyRequest(datagram, 48));

        data.set(random.bytes(31), 1);
        mac.signResponse(datagram);
        assertEquals(
          hex(data.subarray(32)),
          hex(macByNode(key, contextOf("response", cluster), data.subarray(0, 32), request.subarray(32))),
        );
        if (i % 3 === 0) assert(mac.verifyResponse(datagram, 48, new DataView(request.buffer)));
      }
    }
  });

  it("keeps the time to the millisecond, as far as numbers are exact", () => {
    const datagram = new DataView(new ArrayBuffer(48));
    for (const timeMs of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 41 + 1, 2 ** 53 - 1]) {
      new Mac(KEY).signRequest(datagram, timeMs, 0, 0);
      assertEquals(timeOf(datagram), timeMs);
    }
  });

  it("makes a different MAC for a different nonce", () => {
    const mac = new Mac(KEY);
    const macs = [[0, 0], [0, 1], [1, 0], [2 ** 32 - 1, 2 ** 32 - 1]].map(([high, low]) => {
      const datagram = new DataView(new ArrayBuffer(48));
      mac.signRequest(datagram, 1, high, low);
      return hexOf(datagram).slice(64);
    });
    assertEquals(new Set(macs).size, 4);
  });

  it("keeps a copy of the key", () => {
    const key = KEY.slice();
    const mac = new Mac(key);
    key.fill(0);
    assert(mac.verifyRequest(view(REQUEST), 48));
    assertNotEquals(key, KEY);
  });

  it("refuses a key that is too short, or not random", () => {
    assertThrows(() => new Mac(KEY.subarray(1)), RangeError, "a key has at least 32 bytes, and key has 31");
    assertThrows(() => new Mac(new Uint8Array(32)), RangeError, "a key is random bytes");
  });
});
