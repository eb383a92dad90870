import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { recordedServers } from "../../lib/client/recorded_servers.ts";
import { encodeReservation, type Reservation } from "../../lib/reservation/reservation.ts";
import { DEFAULT_LAYOUT, DISCORD_LAYOUT, MemoryReservationStore } from "../../mod.ts";

const NOW_MS = Date.parse("2026-05-01T00:00:00Z");

describe("recordedServers", () => {
  it("finds those that hold a node, and have renewed their reservations of late, whatever their layouts", async () => {
    const store = new MemoryReservationStore();
    const add = (nodeId: number, address: string, markMs: number, change: Partial<Reservation> = {}) => {
      const layout = nodeId % 2 === 0 ? DEFAULT_LAYOUT : DISCORD_LAYOUT;
      const mark = Math.floor((markMs - layout.epochMs) / layout.tickMs);
      const record = { mark, beat: 1, holder: "name/attempt", layout: layout.key, info: { address } };
      return store.compareAndSet(nodeId, undefined, encodeReservation({ ...record, ...change }));
    };
    await add(0, "192.0.2.1:9999", NOW_MS);
    await add(1, "[2001:db8::1]:9999", NOW_MS - 50_000);
    await add(2, "192.0.2.2:9999", NOW_MS - 70_000); // has ended without a word
    await add(3, "192.0.2.3:9999", NOW_MS, { holder: "/attempt" }); // has given its node back
    await add(4, "", NOW_MS, { info: {} }); // a generator, which serves nowhere
    await add(5, "192.0.2.1:9999", NOW_MS); // serves two nodes on one port
    await add(6, "192.0.2.4:9999", NOW_MS, { layout: "of a later version" });
    await store.compareAndSet(7, undefined, "no record at all");
    assertEquals(await recordedServers(store)(), ["192.0.2.1:9999", "[2001:db8::1]:9999"]);
  });

  it("finds none where none has ever been", async () => {
    assertEquals(await recordedServers(new MemoryReservationStore())(), []);
  });
});
