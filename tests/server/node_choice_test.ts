import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { LAYOUTS } from "../../lib/id/presets.ts";
import { encodeReservation } from "../../lib/reservation/reservation.ts";
import { MemoryReservationStore } from "../../lib/reservation/stores/memory_store.ts";
import { candidateNodes, ordinalNode } from "../../lib/server/node_choice.ts";
import { ServeError } from "../../lib/server/serve_error.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { DEFAULTS } from "./serve_defaults.ts";

describe("ordinalNode", () => {
  it("takes the number at the end of the host's name", () => {
    const nodes: [string, number, number][] = [["ids-0", 0, 0], ["ids-3", 0, 3], ["a1-b22", 100, 122], ["7", 0, 7]];
    for (const [hostname, nodeIdBase, nodeId] of nodes) {
      assertEquals(ordinalNode({ ...DEFAULTS, nodeIdBase }, hostname), nodeId);
    }
    assertEquals(ordinalNode({ ...DEFAULTS, nodeIdBase: 1000 }, "ids-23"), 1023);
  });

  it("refuses a name without a number, and a number that is no node", () => {
    const refused: [string, string][] = [
      ["db", "a host name with a number at its end, such as ids-3: this one is db"],
      ["", "a host name with a number at its end"],
      ["ids-24", "the host name ids-24 stands for node 1024 (with --node-id-base 1000), and the last one"],
      ["ids-99999999999999999999", "and the last one of the layout is 1023"],
    ];
    for (const [hostname, message] of refused) {
      assertThrows(() => ordinalNode({ ...DEFAULTS, nodeIdBase: 1000 }, hostname), ServeError, message);
    }
  });
});

describe("candidateNodes", () => {
  it("names the nodes of this machine first, then those that nobody holds", async () => {
    await using temp = await TempDir.make();
    for (const name of ["node-9.lock", "node-2.lock", "node-2.workers.lock", "node-9.pid", "node-256.lock", "x"]) {
      await Deno.writeTextFile(`${temp.path}/${name}`, "");
    }
    const store = new MemoryReservationStore();
    const layout = LAYOUTS.number;
    for (let nodeId = 0; nodeId <= layout.maxNodeId; nodeId++) {
      const holder = nodeId === 77 ? "/gone" : "other/1";
      const record = { mark: 9, beat: 1, holder, layout: layout.key, info: {} };
      await store.compareAndSet(nodeId, undefined, encodeReservation(record));
    }
    const options = { ...DEFAULTS, layout: "number" as const };
    const nodes = candidateNodes(options, store, temp.path, AbortSignal.timeout(60_000));
    const found = [await nodes.next(), await nodes.next(), await nodes.next()].map(({ value }) => value);
    assertEquals(found.map((node) => node && [node.nodeId, node.isOwn]), [[2, true], [9, true], [77, false]]);
    await nodes.return();
  });
});
