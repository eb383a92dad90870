import own from "../../deno.json" with { type: "json" };
import { type IdGenerator, OutOfIdsError } from "../../mod.ts";
import config from "../deno.json" with { type: "json" };

/** An id in any form that tells ids apart. */
export type Id = string | bigint;

/** A source of ids. */
export interface IdSource {
  /** Gives one id; throws, or rejects, if it has none. */
  next(): Id | Promise<Id>;
  /** The time that an id tells, in ms since the Unix epoch, for an id that tells one. */
  timestampOf?(id: Id): number;
}

/** The options that a generator is made with. */
export interface MakeOptions {
  /** The node id; `undefined`: none is configured, and the generator's defaults are used. */
  nodeId: number | undefined;
  /** A directory that only the processes of one fault share: the place of a generator's files. */
  stateDir: string;
}

/** A generator that is compared. */
export interface Subject {
  /** The package, as npm calls it; its generator, if it has several. */
  name: string;
  /** The basis of its ids' uniqueness. */
  guarantee: string;
  /** How many ids it has in one tick of its clock; infinite if that cannot be reached. */
  idsPerTick: number;
  /** Loads it and makes one, as its documentation says. The process's clock has been replaced by then. */
  make(options: MakeOptions): Promise<IdSource>;
}

/** The epoch of those that have to be given one, in ms since the Unix epoch. */
const EPOCH_MS = Date.UTC(2020, 0, 1);

/**
 * All that are compared, in the order of the rows: the generators of 64-bit ids and of longer ones that npm delivers
 * most often.
 */
export const SUBJECTS: readonly Subject[] = [
  {
    name: "global-id, plain",
    guarantee: "node ids kept apart, clock never set back while down",
    idsPerTick: 2 ** 17,
    async make({ nodeId }) {
      const { IdGenerator } = await import("../../mod.ts");
      return waiting(new IdGenerator({ nodeId: nodeId as number }));
    },
  },
  {
    name: "global-id, with a store",
    guarantee: "ticks reserved in a durable store",
    idsPerTick: 2 ** 17,
    async make({ nodeId, stateDir }) {
      const { IdGenerator } = await import("../../mod.ts");
      const { SqliteReservationStore } = await import("../../lib/reservation/stores/sqlite_store.ts");
      const store = new SqliteReservationStore(`${stateDir}/reservations.sqlite`);
      return waiting(await IdGenerator.open({ store, ...(nodeId === undefined ? {} : { nodeId }) }));
    },
  },
  {
    name: "@sapphire/snowflake",
    guarantee: "node id, ms, counter in memory",
    idsPerTick: 2 ** 12,
    async make({ nodeId }) {
      const { Snowflake } = await import("@sapphire/snowflake");
      const ids = new Snowflake(EPOCH_MS);
      if (nodeId !== undefined) ids.workerId = BigInt(nodeId);
      return { next: () => ids.generate(), timestampOf: (id) => ids.timestampFrom(BigInt(id)) };
    },
  },
  {
    name: "flake-idgen",
    guarantee: "node id, ms, sequence in memory",
    idsPerTick: 2 ** 12,
    async make({ nodeId }) {
      const { default: FlakeId } = await import("flake-idgen");
      const ids = nodeId === undefined ? new FlakeId() : new FlakeId({ id: nodeId, epoch: EPOCH_MS });
      const next = () => BigInt(`0x${ids.next().toString("hex")}`);
      return { next, timestampOf: twitterTime(nodeId === undefined ? 0 : EPOCH_MS) };
    },
  },
  {
    name: "nodejs-snowflake",
    guarantee: "node id (random if none), ms, sequence in memory",
    idsPerTick: 2 ** 10,
    async make({ nodeId }) {
      const { Snowflake } = await import("nodejs-snowflake");
      const ids = nodeId === undefined
        ? new Snowflake()
        : new Snowflake({ instance_id: nodeId, custom_epoch: EPOCH_MS });
      return { next: () => BigInt(String(ids.getUniqueID())), timestampOf: twitterTime(ids.customEpoch()) };
    },
  },
  {
    name: "bson ObjectId",
    guarantee: "96 bits: s, 40 random bits a process, counter",
    idsPerTick: 2 ** 24,
    async make() {
      const { ObjectId } = await import("bson");
      const timestampOf = (id: Id) => new ObjectId(String(id)).getTimestamp().getTime();
      return { next: () => new ObjectId().toHexString(), timestampOf };
    },
  },
  {
    name: "ulid, monotonicFactory",
    guarantee: "128 bits: ms, 80 random bits that are counted up",
    idsPerTick: Infinity,
    async make() {
      const { decodeTime, monotonicFactory } = await import("ulid");
      const next = monotonicFactory();
      return { next: () => next(), timestampOf: (id) => decodeTime(String(id)) };
    },
  },
  {
    name: "uuid, v7",
    guarantee: "128 bits: ms, 74 random bits, some counted up",
    idsPerTick: Infinity,
    async make() {
      const { v7 } = await import("uuid");
      return { next: () => v7(), timestampOf: (id) => Number(BigInt(`0x${String(id).replaceAll("-", "")}`) >> 80n) };
    },
  },
  {
    name: "nanoid",
    guarantee: "126 random bits",
    idsPerTick: Infinity,
    make: async () => ({ next: (await import("nanoid")).nanoid }),
  },
  {
    name: "@paralleldrive/cuid2",
    guarantee: "124 bits of a hash of ms, counter and random numbers",
    idsPerTick: Infinity,
    make: async () => ({ next: (await import("@paralleldrive/cuid2")).createId }),
  },
];

/** The one of a name. */
export function subjectNamed(name: string): Subject {
  const subject = SUBJECTS.find((subject) => subject.name === name);
  if (subject === undefined) throw new Error(`no generator of the comparison has the name ${JSON.stringify(name)}`);
  return subject;
}

/** The version of a subject that is measured: that of this project, or the one that bench/deno.json pins. */
export function versionOf({ name }: Subject): string {
  const [packageName] = name.split(/[, ]/, 1);
  const pinned: Record<string, string> = config.imports;
  return packageName === "global-id" ? own.version : pinned[packageName].split("@").at(-1) as string;
}

/**
 * Takes ids from a generator of this project: waits while a tick has none left, and fails while the clock is behind.
 */
function waiting(ids: IdGenerator): IdSource {
  const next = async (): Promise<bigint> => {
    try {
      return ids.nextId();
    } catch (error) {
      if (!(error instanceof OutOfIdsError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
      return next();
    }
  };
  return { next, timestampOf: (id) => ids.layout.timestampOf(BigInt(id)).getTime() };
}

/** Reads the time of ids that have 22 bits below it. */
function twitterTime(epochMs: number): (id: Id) => number {
  return (id) => Number(BigInt(id) >> 22n) + epochMs;
}
