import { assert, assertEquals } from "@std/assert";
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
      assertEquals(table.get(tagHigh, (tagLow + 1000) >>> 0), undefined);
      assertEquals(table.get(tagHigh, (tagLow - 1000) >>> 0), undefined);
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
    assertEquals(all(table), [third, second]);
    table.delete(new Request());
    assertEquals(table.size, 2);
  });

  it("can be changed while it is iterated", () => {
    const { table, requests } = filled(4);
    const seen: Request[] = [];
    table.forEach((request) => {
      seen.push(request);
      table.delete(request);
      table.delete(requests[3]);
      if (seen.length === 1) table.add(new Request());
    });
    assertEquals(seen, requests.slice(0, 3));
    assertEquals(table.size, 1);
  });

  it("begins with random tags", () => {
    const starts = Array.from({ length: 20 }, () => filled(1).requests[0]);
    assertEquals(new Set(starts.map(({ tagHigh }) => tagHigh)).size, 20);
    assertEquals(new Set(starts.map(({ tagLow }) => tagLow)).size, 20);
  });
});
