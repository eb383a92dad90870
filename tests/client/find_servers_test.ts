import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { formatEndpoint, readEndpoint } from "../../lib/client/endpoint.ts";
import { findServers } from "../../lib/client/find_servers.ts";

describe("readEndpoint and formatEndpoint", () => {
  const endpoints: [string, string, number][] = [
    ["127.0.0.1:9999", "127.0.0.1", 9999],
    ["ids.example.com:1", "ids.example.com", 1],
    ["[::1]:65535", "::1", 65_535],
    ["[fe80::1%eth0]:9999", "fe80::1%eth0", 9999],
  ];
  for (const [text, hostname, port] of endpoints) {
    it(`read and write ${text}`, () => {
      assertEquals(readEndpoint(text), { hostname, port });
      assertEquals(readEndpoint({ hostname, port }), { hostname, port });
      assertEquals(formatEndpoint({ hostname, port }), text);
    });
  }

  for (const text of ["", "a", "a:", ":1", "a:b", "a:1:2", "::1:9999", "[::1]", "[]:1", "http://a:1", " a:1", "a:+1"]) {
    it(`refuse ${JSON.stringify(text)}`, () => {
      assertThrows(() => readEndpoint(text), TypeError, 'a server must be "host:port"');
    });
  }

  it("refuse what is no port or no host", () => {
    assertThrows(() => readEndpoint("a:0"), RangeError, 'the port in "a:0" must be an integer from 1 to 65535: got 0');
    assertThrows(() => readEndpoint("a:65536"), RangeError, "got 65536");
    assertThrows(() => readEndpoint({ hostname: "a", port: 0 }), RangeError, "port must be");
    for (const wrong of [undefined, null, 5, {}, { hostname: "" }, { hostname: 1, port: 1 }]) {
      assertThrows(() => readEndpoint(wrong as unknown as string), TypeError, "a server must be");
    }
  });
});

describe("findServers", () => {
  it("finds all addresses of a name, of both families", async () => {
    const names: string[] = [];
    const resolve = (name: string) => (names.push(name), Promise.resolve(["192.0.2.1", "2001:db8::1"]));
    const find = findServers("dns:ids.example.com:9999", resolve);
    assertEquals(await find(), [{ hostname: "192.0.2.1", port: 9999 }, { hostname: "2001:db8::1", port: 9999 }]);
    assertEquals(names, ["ids.example.com"]);
  });

  it("resolves a name with the system's resolver", async () => {
    const found = await findServers("dns:localhost:9")();
    assert(found.some(({ hostname }) => ["127.0.0.1", "::1"].includes(hostname)));
  });

  it("takes from a function what a list may have", async () => {
    const find = findServers(() => Promise.resolve(["a:1", { hostname: "::1", port: 2 }]));
    assertEquals(await find(), [{ hostname: "a", port: 1 }, { hostname: "::1", port: 2 }]);
    await assertRejects(findServers(() => Promise.resolve(["a"])), TypeError, 'got "a"');
  });

  it("refuses other texts", () => {
    for (const text of ["dns:", "dns:a", "store:x", "store:postgres://u@h/d", "a:1"]) {
      assertThrows(() => findServers(text), TypeError);
    }
    assertThrows(
      () => findServers("a:1"),
      TypeError,
      'servers must be a list, "dns:NAME:PORT", "store:etcd://…", or a function',
    );
    assertThrows(() => findServers(5 as unknown as string), TypeError, "got 5");
  });
});
