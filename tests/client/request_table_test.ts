import { assert, assertEquals, assertGreater } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { RequestTable, type Tagged } from "../../lib/client/_request_table.ts";

class Request implements Tagged {
  tagHigh = -1;
  tagLow = -1;
}

/** A table with so many requests. */
function filled(count: number): { table: RequestTable<Request>; requests: Request[] } {
  const table = new RequestTable<Request>();
  const requests = Array.from({ length: count }, () => new Request());
  for (const request of requests) table.add(request);
  return { table, requests };
}

function all(table: RequestTable<Request>): Request[] {
  const seen: Request[] = [];
  table.forEach((request) => seen.push(request));
  return seen;
}

describe("RequestTable", () => {
  it("finds each request by its own tag only", () => {
    const { table, requests } = filled(100);
    assertEquals(table.size, 100);
    for (const request of requests) {
      const { tagHigh, tagLow } = request;
      assert(tagHigh >>> 0 === tagHigh && tagLow >>> 0 === tagLow, "32 bits each");
      assert(table.get(tagHigh, tagLow) === request);
      assertEquals(table.get(tagHigh ^ 1 << 31, tagLow), undefined);
      assertEquals(table.get(tagHigh, (tagLow ^ 1 << 31) >>> 0), undefined, "in the same place");
    }
  });

  it("gives every request a tag of its own, also in the place of a deleted request", () => {
    const { table, requests } = filled(3);
    const tags = new Set(requests.map(({ tagHigh, tagLow }) => `${tagHigh} ${tagLow}`));
    for (let i = 0; i < 1000; i++) {
      const [old] = requests.splice(i % 3, 1);
      table.delete(old);
      assertEquals(table.get(old.tagHigh, old.tagLow), undefined);
      const request = new Request();
      table.add(request);
      requests.push(request);
      tags.add(`${request.tagHigh} ${request.tagLow}`);
      assertEquals(table.get(old.tagHigh, old.tagLow), undefined);
      assertEquals(table.size, 3);
    }
    assertEquals(tags.size, 1003);
    assertEquals(new Set(all(table)), new Set(requests));
  });

  it("deletes a request once", () => {
    const { table, requests: [first, second] } = filled(2);
    table.delete(first);
    table.delete(first);
    assertEquals(table.size, 1);
    const third = new Request();
    table.add(third); // where the first one was
    table.delete(first);
    assertEquals(new Set(all(table)), new Set([third, second]));
    table.delete(new Request());
    assertEquals(table.size, 2);
  });

  it("can be changed while it is iterated", () => {
    const { table, requests } = filled(4);
    const [seen, added] = [[] as Request[], new Request()];
    table.forEach((request) => {
      seen.push(request);
      table.delete(request);
      if (seen.length > 1) return;
      table.add(added);
      for (const other of requests) if (other !== request && table.size > 2) table.delete(other);
    });
    assertEquals([seen.length, table.size], [2, 1]);
    assertEquals(all(table), [added]);
  });

  it("gives tags that cannot be told from those before", () => {
    const { requests } = filled(1000);
    for (const half of ["tagHigh", "tagLow"] as const) {
      const steps = requests.slice(1).map((request, i) => request[half] - requests[i][half]);
      assertGreater(new Set(steps).size, 990);
      for (let bit = 0; bit < 32; bit++) {
        const ones = requests.filter((request) => request[half] >>> bit & 1).length;
        assert(400 < ones && ones < 600, `${ones} of 1000 have bit ${bit} of ${half}`);
      }
    }
  });

  it("draws another tag where the place of one is taken", () => {
    const words = [1, 7, 2, 7, 7 + 64, 8];
    const table = new RequestTable<Request>({ next: () => words.shift() ?? -1 });
    const requests = [new Request(), new Request()];
    for (const request of requests) table.add(request);
    assertEquals(requests.map(({ tagHigh, tagLow }) => [tagHigh, tagLow]), [[1, 7], [2, 8]]);
    assertEquals(requests.map(({ tagHigh, tagLow }) => table.get(tagHigh, tagLow)), requests);
  });
});
