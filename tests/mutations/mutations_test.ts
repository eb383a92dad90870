/**
 * What keeps ids unique, broken one rule at a time: each mutation of the code must make the test named beside it fail.
 * It shows that the tests would notice if the rule were not there.
 */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { runDeno } from "../../testing/deno_process.ts";
import { hasPostgres } from "../../testing/postgres_cluster.ts";
import { TempDir } from "../../testing/temp_dir.ts";
import { isFull } from "../settings.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

const GENERATOR = "lib/id/id_generator.ts";
const SEQUENCER = "lib/id/id_sequencer.ts";
const RULES = "tests/id/id_generator_test.ts";
const RESERVED = "tests/id/reserved_sequencer_test.ts";
const POOLED = "tests/id/pooled_sequencer_test.ts";
const OPENED = "tests/id/opened_generator_test.ts";

const POOL = "lib/node/node_pool.ts";
const POOL_HEADER = "lib/node/pool_header.ts";
const MUTEX = "lib/node/robust_mutex.ts";
const POOLS = "tests/node/node_pool_test.ts";
const POOL_PROCESSES = "tests/node/node_pool_processes_test.ts";
const OWN_FILE = "lib/node/own_file.ts";
const OWN_FILES = "tests/node/own_file_test.ts";
const HOLD = "lib/node/hold_node.ts";
const HOLDS = "tests/node/hold_node_test.ts";
const NODES = "tests/node/node_property_test.ts";

const RESPONDER = "lib/wire/responder.ts";
const LOOPS = "tests/wire/service_loops_test.ts";

const SOURCE_TABLES = "tests/access/source_table_test.ts";

const MAC = "lib/access/mac.ts";
const MACS = "tests/access/mac_test.ts";
const SIGNED = "lib/access/signed_responder.ts";
const SIGNED_RESPONSES = "tests/access/signed_responder_test.ts";
const KEY = "lib/access/key.ts";
const KEYS = "tests/access/key_test.ts";
const KEY_ACCESS = "lib/access/check_key_access.ts";
const KEYS_ACCESS = "tests/access/check_key_access_test.ts";

const HOLDER = "lib/reservation/holder.ts";
const OWN_RECORD = "lib/reservation/own_record.ts";
const TICK_SCALE = "lib/reservation/tick_scale.ts";
const HOLDERS = "tests/reservation/holder_test.ts";
const SHARED = "tests/reservation/shared_store_test.ts";
const HOLDS_SHARED = "tests/node/hold_shared_node_test.ts";
const STORE_WATCH = "lib/reservation/store_watch.ts";
const FIND = "lib/reservation/find_nodes.ts";
const FREE = "lib/reservation/free_node.ts";
const FREED = "tests/reservation/free_node_test.ts";
const CLAIMS = "tests/reservation/claim_test.ts";
const PROPERTIES = "tests/reservation/uniqueness_property_test.ts";

const ETCD = "lib/reservation/stores/etcd_store.ts";
const ETCD_STORES = "tests/reservation/stores/etcd_store_test.ts";
const MEMBER_CALL = "lib/reservation/stores/_etcd_member_call.ts";
const ETCD_MEMBERS = "tests/reservation/stores/etcd_members_test.ts";
const LISTING = "lib/reservation/stores/_etcd_listing.ts";

const POSTGRES = "lib/reservation/stores/postgres_store.ts";
const STATEMENTS = "lib/reservation/stores/_postgres_statements.ts";
const POSTGRES_STORES = "tests/reservation/stores/postgres_store_test.ts";

const REQUESTER = "lib/client/_range_requester.ts";
const REQUESTERS = "tests/client/range_requester_test.ts";
const NEAREST = "tests/client/nearest_server_test.ts";
const NEAREST_SERVER = "lib/client/_nearest_server.ts";
const REQUEST_TABLE = "lib/client/_request_table.ts";
const REQUEST_TABLES = "tests/client/request_table_test.ts";
const REQUEST_SOCKETS = "tests/client/request_socket_test.ts";
const RECEIVED_IDS = "tests/client/received_ids_test.ts";
const FILTER = "lib/libc/system_call_filter.ts";
const CONFINED = "tests/server/confine_worker_test.ts";

const WORKER_MESSAGES = "lib/server/worker_messages.ts";
const WORKER_MESSAGES_TESTED = "tests/server/worker_messages_test.ts";
const NODE_CHOICE = "lib/server/node_choice.ts";
const NODE_CHOICES = "tests/server/node_choice_test.ts";
const OWN_DIRECTORY = "lib/server/own_directory.ts";
const STATE_DIRS = "tests/server/state_dir_test.ts";

/** What the tests named here need. */
const COPIED = [
  ...["deno.json", "deno.lock", "mod.ts", "lib", "links"],
  ...[
    "tests/id",
    "tests/reservation",
    "tests/node",
    "tests/any_character.ts",
    "tests/shrinking.ts",
    "tests/wrong_errno.ts",
    "testing",
  ],
  ...["tests/access", "tests/wire", "tests/udp", "tests/settings.ts", "docs"],
  ...["client.ts", "tests/client", "tests/held_time.ts", "server.ts", "tests/server", "tests/system"],
];

interface Mutation {
  rule: string;
  file: string;
  from: string;
  to: string;
  killer: string;
}

if (isFull && !hasPostgres) {
  console.warn("PostgreSQL is not installed (postgresql): its statements' rules are not broken");
}

/**
 * What only a real server can notice, which takes 9 s to start and to ask: with `test:all` alone, which `.ci/run` runs
 * where reservations have changed.
 */
const POSTGRES_MUTATIONS: Mutation[] = [
  {
    rule: "a change in PostgreSQL waits for the synchronous standby",
    file: STATEMENTS,
    from: "set_config('synchronous_commit', 'on', true)",
    to: "current_setting('synchronous_commit')",
    killer: POSTGRES_STORES,
  },
  {
    rule: "a warning of a commit in PostgreSQL is sent, whatever the session has",
    file: STATEMENTS,
    from: "set_config('client_min_messages', 'warning', true)",
    to: "current_setting('client_min_messages')",
    killer: POSTGRES_STORES,
  },
  {
    rule: "a change in PostgreSQL names the record that it replaces",
    file: STATEMENTS,
    from: "WHERE node_id = $1 AND record IN ($2, $3)",
    to: "WHERE node_id = $1 AND record IN ($2, $3, record)",
    killer: POSTGRES_STORES,
  },
  {
    rule: "a new record in PostgreSQL replaces none",
    file: STATEMENTS,
    from: "DO UPDATE SET record = excluded.record WHERE present.record = excluded.record",
    to: "DO UPDATE SET record = excluded.record",
    killer: POSTGRES_STORES,
  },
  {
    rule: "a change in PostgreSQL whose reply got lost is known again",
    file: STATEMENTS,
    from: "record IN ($2, $3)",
    to: "record = $2",
    killer: POSTGRES_STORES,
  },
];

const MUTATIONS: Mutation[] = [
  {
    rule: "1: the clock is not behind the epoch",
    file: SEQUENCER,
    from: "if (!(tick >= 0) || tick < this.#tick) {",
    to: "if (tick < this.#tick) {",
    killer: RULES,
  },
  {
    rule: "2: no tick before the last one used",
    file: SEQUENCER,
    from: "if (!(tick >= 0) || tick < this.#tick) {",
    to: "if (!(tick >= 0)) {",
    killer: RULES,
  },
  {
    rule: "3: no tick past the layout's last",
    file: SEQUENCER,
    from: "if (tick > layout.maxTick) return",
    to: "if (tick > layout.maxTick + 1) return",
    killer: RULES,
  },
  {
    rule: "3: no tick at the mark",
    file: SEQUENCER,
    from: "if (tick >= this.mark) return",
    to: "if (tick > this.mark) return",
    killer: PROPERTIES,
  },
  {
    rule: "3: the mark is never lowered",
    file: SEQUENCER,
    from: "if (mark > this.#mark && !this.#isClosed)",
    to: "if (!this.#isClosed)",
    killer: RESERVED,
  },
  {
    rule: "4: no sequence number past the last",
    file: SEQUENCER,
    from: "if (this.#sequence >= this.#endSequence || count > 1 &&",
    to: "if (this.#sequence > this.#endSequence || count > 1 &&",
    killer: RULES,
  },
  {
    rule: "4: a range ends with the tick's last sequence number",
    file: SEQUENCER,
    from: "Math.ceil((this.#endSequence - sequence) / subnodeCount)",
    to: "Math.ceil((this.#endSequence + 1 - sequence) / subnodeCount)",
    killer: RULES,
  },
  {
    rule: "4: sequence numbers go in steps of the number of subnodes",
    file: SEQUENCER,
    from: "this.#sequence = sequence + count * subnodeCount;",
    to: "this.#sequence = sequence + count;",
    killer: RULES,
  },
  {
    rule: "4: and begin with the subnode's own",
    file: SEQUENCER,
    from: "this.#sequence = this.subnodeId;",
    to: "this.#sequence = 0;",
    killer: PROPERTIES,
  },
  {
    rule: "4: all of a range counts as used",
    file: SEQUENCER,
    from: "this.#sequence = sequence + count * subnodeCount;",
    to: "this.#sequence = sequence + subnodeCount;",
    killer: PROPERTIES,
  },
  {
    rule: "4: an array is filled with ids that are a step apart",
    file: GENERATOR,
    from: "first + BigInt(i >>> 0) * step",
    to: "first + BigInt(i >>> 1) * step",
    killer: RULES,
  },
  {
    rule: "5: the tick it was made in counts as used up",
    file: SEQUENCER,
    from: "this.#sequence = this.#endSequence = layout.maxSequence + 1;",
    to: "[this.#sequence, this.#endSequence] = [subnodeId, layout.maxSequence + 1];",
    killer: RULES,
  },
  {
    rule: "5: the tick before the first one reserved is not its own",
    file: SEQUENCER,
    from: "0, layout.maxTick + 1) - 1;",
    to: "0, layout.maxTick + 1) - 2;",
    killer: PROPERTIES,
  },
  {
    rule: "closed: the generator has no ids any more",
    file: SEQUENCER,
    from: "    this.#mark = 0;\n",
    to: "",
    killer: OPENED,
  },
  {
    rule: "closed: what is given back begins after the last tick used",
    file: GENERATOR,
    from: "release(this.lastTick + 1)",
    to: "release(this.lastTick)",
    killer: OPENED,
  },
  {
    rule: "pool: what was taken in one tick is not for the next",
    file: SEQUENCER,
    from: "this.#endSequence = this.#pool === undefined ? layout.maxSequence + 1 : 0;",
    to: "if (this.#pool === undefined) this.#endSequence = layout.maxSequence + 1;",
    killer: POOLED,
  },
  {
    rule: "pool: no tick that another generator has left",
    file: SEQUENCER,
    from: "while (lease.tick > this.#tick) {",
    to: "while (false) {",
    killer: POOLED,
  },
  {
    rule: "pool: what is left of a batch's ids is not kept",
    file: SEQUENCER,
    from: "if (this.#sequence >= this.#endSequence || this.#pool === undefined) return;",
    to: "return;",
    killer: POOLS,
  },
  {
    rule: "pool: what was given back is not used",
    file: SEQUENCER,
    from: "this.#sequence = this.#endSequence;",
    to: "",
    killer: POOLS,
  },
  {
    rule: "pool: what one has taken is taken for all",
    file: POOL,
    from: "words[TAKEN + slot] = end;",
    to: "words[TAKEN + slot] = end - 1;",
    killer: POOLS,
  },
  {
    rule: "pool: also of a tick that begins",
    file: POOL,
    from: "words[TAKEN + other] = end;",
    to: "words[TAKEN + other] = 0;",
    killer: POOLS,
  },
  {
    rule: "pool: one at a time",
    file: MUTEX,
    from: "const code = this.#libc.pthread_mutex_trylock(this.#pointer);",
    to: "const code: number = 0;",
    killer: POOL_PROCESSES,
  },
  {
    rule: "pool: the mutex of one who was killed is the next one's",
    file: MUTEX,
    from: "if (code !== EOWNERDEAD) throw",
    to: "throw",
    killer: POOL_PROCESSES,
  },
  {
    rule: "pool: who then has to say that all is well",
    file: MUTEX,
    from: "    this.#libc.pthread_mutex_consistent(this.#pointer);\n",
    to: "",
    killer: POOL_PROCESSES,
  },
  {
    rule: "pool: none of a tick that is over",
    file: POOL,
    from: "} else if (tick > poolTick && tick < mark) {",
    to: "} else if (tick !== poolTick && tick < mark) {",
    killer: POOLS,
  },
  {
    rule: "pool: a later tick begins in the slot that is not current",
    file: POOL,
    from: "const other = 1 - slot;",
    to: "const other = slot;",
    killer: POOLS,
  },
  {
    rule: "pool: with how many are taken of it, and then the tick",
    file: POOL,
    from: "words[TAKEN + other] = end;\n      words[TICK + other] = tick;",
    to: "words[TICK + other] = tick;\n      words[TAKEN + other] = end;",
    killer: POOLS,
  },
  {
    rule: "pool: the later tick counts",
    file: POOL,
    from: "return this.#words[TICK + 1] > this.#words[TICK] ? 1 : 0;",
    to: "return this.#words[TICK + 1] >= 0 ? 1 : 0;",
    killer: POOLS,
  },
  {
    rule: "pool: no tick at the mark",
    file: POOL,
    from: "} else if (tick > poolTick && tick < mark) {",
    to: "} else if (tick > poolTick && tick <= mark) {",
    killer: POOLS,
  },
  {
    rule: "pool: the mark is the one of who has the mutex",
    file: POOL,
    from: "this.#lock();\n    const words = this.#words;\n    const slot = this.#currentSlot();\n" +
      "    const poolTick = words[TICK + slot];\n    const mark = words[MARK];",
    to:
      "const words = this.#words;\n    const mark = words[MARK];\n    this.#lock();\n    const slot = this.#currentSlot();\n" +
      "    const poolTick = words[TICK + slot];",
    killer: POOL_PROCESSES,
  },
  {
    rule: "pool: the mark is never lowered",
    file: POOL,
    from: "if (!this.isClosed && mark > this.mark)",
    to: "if (!this.isClosed)",
    killer: POOLS,
  },
  {
    rule: "pool: nothing of a closed one, also of the tick that it is in",
    file: POOL,
    from: "if (tick === poolTick && tick < mark) {",
    to: "if (tick === poolTick) {",
    killer: POOLS,
  },
  {
    rule: "pool: a closed one stays closed, whoever learns of a mark",
    file: POOL,
    from: "if (!this.isClosed && mark > this.mark)",
    to: "if (mark > this.mark)",
    killer: POOLS,
  },
  {
    rule: "pool: nobody becomes the owner of a closed one",
    file: POOL,
    from: "const isOpen = !this.isClosed;",
    to: "const isOpen = true;",
    killer: POOLS,
  },
  {
    rule: "pool: only its owner closes it",
    file: POOL,
    from: "const mayClose = this.isOwned && !this.isClosed;",
    to: "const mayClose = !this.isClosed;",
    killer: POOLS,
  },
  {
    rule: "pool: who does not own it is not its owner, though it has none",
    file: POOL,
    from: "return this.#owner !== 0 && this",
    to: "return this",
    killer: POOLS,
  },
  {
    rule: "pool: a tick of which one is taken is not unused",
    file: POOL,
    from: "return taken === 0 ? tick : tick + 1;",
    to: "return tick;",
    killer: POOLS,
  },
  {
    rule: "pool: only what was taken last goes back",
    file: POOL,
    from: "if (isLast(lease, words[TICK + slot], words[TAKEN + slot])) words",
    to: "if (lease.first < lease.end) words",
    killer: POOLS,
  },
  {
    rule: "pool: only what was taken last is extended",
    file: POOL,
    from: "first = isLast(lease, tick, taken) ? lease.first : taken;",
    to: "first = lease.first < lease.end ? lease.first : taken;",
    killer: POOLS,
  },
  {
    rule: "pool: which is of the same tick",
    file: POOL,
    from: "lease.end === taken && lease.tick === tick;",
    to: "lease.end === taken;",
    killer: POOLS,
  },
  ...["boot", "node", "layout"].map((line, i) => ({
    rule: `pool: none of another ${line}`,
    file: POOL_HEADER,
    from: "i < HOLDER_LINE && line !== lines[i]",
    to: `i < HOLDER_LINE && i !== ${i + 1} && line !== lines[i]`,
    killer: POOLS,
  })),
  {
    rule: "pool: none of another version",
    file: POOL_HEADER,
    from: "if (version !== VERSION) throw",
    to: "if (version === undefined) throw",
    killer: POOLS,
  },
  {
    rule: "pool: none that is damaged",
    file: POOL,
    from: "if (!isSound) throw",
    to: "if (isSound === undefined) throw",
    killer: POOLS,
  },
  {
    rule: "pool: its owner writes down no position that goes back",
    file: POOL,
    from: "isWithin(position.tick, this.#seenTick, this.#maxTick)",
    to: "isWithin(position.tick, -1, this.#maxTick)",
    killer: POOLS,
  },
  {
    rule: "pool: its owner notices a mark that it has not reserved",
    file: POOL,
    from: "this.mark > CLOSED && this.mark <= mark && tick < mark",
    to: "this.mark > CLOSED && tick < mark",
    killer: POOLS,
  },
  {
    rule: "pool: nobody goes on from one that is condemned",
    file: POOL,
    from: "const CONDEMNED = -1;",
    to: "const CONDEMNED = 0;",
    killer: POOLS,
  },
  {
    rule: "a worker's tick: none past the mark that it can have had",
    file: WORKER_MESSAGES,
    from: "tick < this.#usedTick || tick > max",
    to: "tick < this.#usedTick",
    killer: WORKER_MESSAGES_TESTED,
  },
  {
    rule: "a worker's tick: none before the one that it has reported",
    file: WORKER_MESSAGES,
    from: "tick < this.#usedTick || tick > max",
    to: "tick > max",
    killer: WORKER_MESSAGES_TESTED,
  },
  {
    rule: "a worker's messages: each in its turn only",
    file: WORKER_MESSAGES,
    from: "if (this.#state !== from) throw",
    to: "if (this.#state === 'over') throw",
    killer: WORKER_MESSAGES_TESTED,
  },
  {
    rule: "a worker's messages: one pong for each ping",
    file: WORKER_MESSAGES,
    from: "if (this.#pings-- === 0)",
    to: "if (this.#pings-- === -1)",
    killer: WORKER_MESSAGES_TESTED,
  },
  {
    rule: "a worker's lines: so many at once, and so many a second",
    file: "lib/server/line_limit.ts",
    from: "if (this.#room < 1) {",
    to: "if (this.#room < 0) {",
    killer: "tests/server/line_limit_test.ts",
  },
  {
    rule: "the store's directory: none that others may write to",
    file: "lib/server/state_dir.ts",
    from: "    await checkOwnDirectory(directory, use);\n",
    to: "",
    killer: STATE_DIRS,
  },
  {
    rule: "a worker's messages: no field that is not known",
    file: WORKER_MESSAGES,
    from: "Object.keys(value).every((name) => Object.hasOwn(tests, name)) &&",
    to: "",
    killer: WORKER_MESSAGES_TESTED,
  },
  {
    rule: "a worker's messages: lines of bounded length",
    file: WORKER_MESSAGES,
    from: "readLines(stream, MAX_LINE_LENGTH)",
    to: "readLines(stream, 2 ** 22)",
    killer: WORKER_MESSAGES_TESTED,
  },
  {
    rule: "state directory: made for its user alone",
    file: OWN_DIRECTORY,
    from: "Deno.mkdir(path, { recursive: true, mode: 0o700 })",
    to: "Deno.mkdir(path, { recursive: true })",
    killer: STATE_DIRS,
  },
  {
    rule: "state directory: none that others may write to",
    file: OWN_DIRECTORY,
    from: "if (has(status, WRITTEN_BY_OTHERS)) {",
    to: "if (has(status, WRITTEN_BY_ALL)) {",
    killer: STATE_DIRS,
  },
  {
    rule: "state directory: none that everybody may replace",
    file: OWN_DIRECTORY,
    from: "  await checkParents(directory, use);\n",
    to: "",
    killer: STATE_DIRS,
  },
  {
    rule: "state directory: no link in it",
    file: OWN_DIRECTORY,
    from: "await Deno.lstat(path).catch(unlessNotFound)",
    to: "await Deno.stat(path).catch(unlessNotFound)",
    killer: STATE_DIRS,
  },
  {
    rule: "state directory: no file that others can open",
    file: OWN_DIRECTORY,
    from: "    await Deno.chmod(path, FILE_FOR_OWNER);\n    opened",
    to: "    opened",
    killer: STATE_DIRS,
  },
  {
    rule: "the file of the process id: no link is followed",
    file: "lib/node/node_lock.ts",
    from:
      "    removeIfThere(draft);\n    try {\n      const file = this.#pidFile = await Deno.open(draft, { write: true, createNew: true,",
    to: "    try {\n      const file = this.#pidFile = await Deno.open(draft, { write: true, create: true,",
    killer: "tests/node/node_lock_test.ts",
  },
  {
    rule: "its file: no link",
    file: OWN_FILE,
    from: "O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC",
    to: "O_RDWR | O_NONBLOCK | O_CLOEXEC",
    killer: OWN_FILES,
  },
  {
    rule: "its file: nothing that others can open",
    file: OWN_FILE,
    from: "if (mode !== REGULAR_FILE_OF_ITS_OWNER) return",
    to: "if (mode === 0) return",
    killer: OWN_FILES,
  },
  {
    rule: "its file: nothing that has another name",
    file: OWN_FILE,
    from: "=== 1 ? undefined :",
    to: ">= 1 ? undefined :",
    killer: OWN_FILES,
  },
  {
    rule: "holding a node: no pool but that of the holder on record",
    file: HOLD,
    from: "return name === pool.holder && pool.attempts.has(attempt);",
    to: "return name !== '';",
    killer: NODES,
  },
  {
    rule: "holding a node: a closed pool only if its own release is on record",
    file: HOLD,
    from: "name === NOBODY && pool.isClosed && pool.attempts.has(attempt)",
    to: "name === NOBODY && pool.isClosed",
    killer: HOLDS,
  },
  {
    rule: "holding a node: a released pool only if it is closed",
    file: HOLD,
    from: "const isReleased = name === NOBODY && pool.isClosed &&",
    to: "const isReleased = name === NOBODY &&",
    killer: HOLDS,
  },
  {
    rule: "holding a node: a closed pool only under a new record",
    file: HOLD,
    from: "!isHolderOf(pool, found.record) || !pool.own()) return",
    to: "!isHolderOf(pool, found.record) || !(pool.own() || true)) return",
    killer: HOLDS,
  },
  {
    rule: "holding a node: a new pool begins where that one ends",
    file: HOLD,
    from: "const position = isSuccessor ? predecessor.position : {",
    to: "const position = {",
    killer: HOLDS,
  },
  {
    rule: "holding a node: but only a pool that takes its place",
    file: HOLD,
    from: "predecessor !== undefined && whyNotLasting === undefined;",
    to: "predecessor !== undefined;",
    killer: HOLDS,
  },
  {
    rule: "holding a node: or at the mark that was on record",
    file: HOLD,
    from: "{ tick: holder.firstTick - 1, taken: layout.maxSequence + 1 }",
    to: "{ tick: holder.firstTick - 1, taken: 0 }",
    killer: NODES,
  },
  {
    rule: "holding a node: and ends at the mark that was written",
    file: HOLD,
    from: "position, mark: holder.mark, attempt",
    to: "position, mark: holder.mark + 1, attempt",
    killer: NODES,
  },
  {
    rule: "replacing a server: not if it has closed the pool",
    file: HOLD,
    from: "if (pool.isClosed || !isOwn ||",
    to: "if (!isOwn ||",
    killer: HOLDS,
  },
  {
    rule: "replacing a server: not if another has the node",
    file: HOLD,
    from: "(record) => isHolderOf(pool, record));",
    to: "(_record) => true);",
    killer: HOLDS,
  },
  {
    rule: "logical: no more ticks than time passes",
    file: SEQUENCER,
    from: "return isUsedUp && this.#logicalWaitMs() <= 0 ?",
    to: "return isUsedUp ?",
    killer: RESERVED,
  },
  {
    rule: "a new holder begins at the mark",
    file: HOLDER,
    from: "Math.max(found?.record.mark ?? nowTick + 1, minTick)",
    to: "Math.max((found?.record.mark ?? nowTick + 2) - 1, minTick)",
    killer: PROPERTIES,
  },
  {
    rule: "a new holder begins behind the pool of a record that is gone",
    file: HOLDER,
    from: "Math.max(found?.record.mark ?? nowTick + 1, minTick)",
    to: "Math.max(found?.record.mark ?? nowTick + 1, 0)",
    killer: HOLDS,
  },
  {
    rule: "a new holder never lowers the mark",
    file: HOLDER,
    from: "await this.#record.claim(Math.max(this.#firstTick, wanted));",
    to: "await this.#record.claim(wanted);",
    killer: PROPERTIES,
  },
  {
    rule: "a renewal reserves nothing for a tick that the holder does not own",
    file: HOLDER,
    from: "Math.min(usedTick, this.mark - 1)",
    to: "usedTick",
    killer: HOLDERS,
  },
  {
    rule: "a renewal never lowers the mark",
    file: HOLDER,
    from: "await this.#record.change((before) => Math.max(mark, before));",
    to: "await this.#record.change(() => mark);",
    killer: HOLDERS,
  },
  {
    rule: "a late reply does not lower the mark",
    file: OWN_RECORD,
    from: "this.#mark = Math.max(this.#mark, next.mark);",
    to: "this.#mark = next.mark;",
    killer: HOLDERS,
  },
  {
    rule: "what is on record belongs to the holder that is named there",
    file: OWN_RECORD,
    from: "return name === this.#options.name && this.#attempts.has(attempt);",
    to: "return name !== '' && attempt !== '';",
    killer: PROPERTIES,
  },
  {
    rule: "a mark counts only once it has been written",
    file: OWN_RECORD,
    from: "    const made = await store.compareAndSet(nodeId, expected, next);",
    to: "    this.#mark = next.mark;\n    const made = await store.compareAndSet(nodeId, expected, next);",
    killer: PROPERTIES,
  },
  {
    rule: "an attempt that this memory has not noted is a copy's",
    file: OWN_RECORD,
    from: "name === this.#options.name && this.#attempts.has(attempt)",
    to: "name === this.#options.name",
    killer: HOLDERS,
  },
  {
    rule: "an attempt that the store refused is not this holder's, if it is on record all the same",
    file: OWN_RECORD,
    from: "this.#attempts.forget(attempt);",
    to: "",
    killer: HOLDERS,
  },
  {
    rule: "the answer to an attempt settles those before it, and none after it",
    file: "lib/reservation/attempt_log.ts",
    from: "if (index > 0) this.#attempts.splice(0, index);",
    to: "this.#attempts = [attempt];",
    killer: HOLDERS,
  },
  {
    rule: "a pool goes on under a record that this very memory has noted",
    file: HOLD,
    from: "name === pool.holder && pool.attempts.has(attempt)",
    to: "name === pool.holder",
    killer: HOLDS,
  },
  {
    rule: "a pool's memory keeps no attempt but the one on record, where it has no room for more",
    file: "lib/node/pool_attempts.ts",
    from: "noted[NEXT] = Math.min(number + 1, noted[NEXT]);",
    to: "",
    killer: "tests/node/pool_attempts_test.ts",
  },
  {
    rule: "nothing is reserved for a clock past the layout's last tick",
    file: TICK_SCALE,
    from: "if (tick > maxTick) throw new OutOfTimeError(tick, maxTick);",
    to: "",
    killer: HOLDERS,
  },
  {
    rule: "a running holder follows a clock that jumps ahead step by step",
    file: HOLDER,
    from: "const mark = Math.min(wanted, this.mark + this.#followedTicks(beganMs));",
    to: "const mark = wanted;",
    killer: HOLDERS,
  },
  {
    rule: "who goes on for another goes on under the name on record",
    file: HOLDER,
    from: "{ ...options, info, name: parseHolder(record.holder).name }",
    to: "{ ...options, info }",
    killer: HOLDERS,
  },
  {
    rule: "what is given back begins with the first unused tick",
    file: HOLDER,
    from: "isLowered ? Math.min(before, firstUnusedTick)",
    to: "isLowered ? Math.min(before, firstUnusedTick - 1)",
    killer: NODES,
  },
  {
    rule: "to give a node back does not raise the mark",
    file: HOLDER,
    from: "isLowered ? Math.min(before, firstUnusedTick)",
    to: "isLowered ? (before, firstUnusedTick)",
    killer: HOLDERS,
  },
  {
    rule: "it gives the node back, too",
    file: OWN_RECORD,
    from: "holder: formatHolder({ name, attempt }),",
    to: "holder: formatHolder({ name: this.#options.name, attempt }),",
    killer: HOLDERS,
  },
  {
    rule: "a change in etcd names the record that it replaces",
    file: ETCD,
    from: 'target: "VALUE", value: encode(expected)',
    to: 'target: "VERSION", result: "GREATER", version: "0"',
    killer: ETCD_STORES,
  },
  {
    rule: "a new record in etcd replaces none",
    file: ETCD,
    from: 'target: "VERSION", version: "0"',
    to: 'target: "VERSION", result: "NOT_EQUAL", version: "-1"',
    killer: ETCD_STORES,
  },
  {
    rule: "a change that etcd did not make counts as made only if its record is there",
    file: ETCD,
    from: 'found !== undefined && (found.value ?? "") === encode(next)',
    to: "found !== undefined",
    killer: ETCD_STORES,
  },
  {
    rule: "a change in etcd whose reply got lost is known again",
    file: ETCD,
    from: 'return found !== undefined && (found.value ?? "") === encode(next);',
    to: "return false;",
    killer: ETCD_STORES,
  },
  {
    rule: "a listing of etcd that has lost keys is read anew",
    file: LISTING,
    from: "isSame && records.size === Number(answer.count ?? 0)",
    to: "isSame",
    killer: ETCD_STORES,
  },
  {
    rule: "a change in PostgreSQL that comes with a warning does not count",
    file: POSTGRES,
    from: "if (warning === undefined) return Number(row.made) === 1;",
    to: "if (warning?.code !== undefined || warning === undefined) return Number(row.made) === 1;",
    killer: POSTGRES_STORES,
  },
  {
    rule: "a notice of PostgreSQL without a code counts as a warning",
    file: POSTGRES,
    from: 'notices.find(({ code = "" })',
    to: 'notices.find(({ code = "00000" })',
    killer: POSTGRES_STORES,
  },
  {
    rule: "a change in PostgreSQL counts only if a row was changed",
    file: POSTGRES,
    from: "return Number(row.made) === 1;",
    to: "return Number(row.made) >= 0;",
    killer: POSTGRES_STORES,
  },
  {
    rule: "a standby of PostgreSQL is not believed",
    file: POSTGRES,
    from: "if (is_standby === true) {",
    to: 'if (is_standby === "yes") {',
    killer: POSTGRES_STORES,
  },
  ...(isFull && hasPostgres ? POSTGRES_MUTATIONS : []),
  {
    rule: "signatures: a request is for one cluster",
    file: MAC,
    from: "sha256(encoder.encode(cluster))",
    to: "sha256(encoder.encode(typeof cluster))",
    killer: SIGNED_RESPONSES,
  },
  {
    rule: "signatures: the context of a response is none of a request",
    file: MAC,
    from: "stateAfter(key, contextOf(RESPONSE_LABEL, cluster))",
    to: "stateAfter(key, contextOf(REQUEST_LABEL, cluster))",
    killer: MACS,
  },
  {
    rule: "signatures: a response is for one request",
    file: MAC,
    from: "copy(request, this.#messageView, RANGE_BYTES, SIGNED_BYTES);",
    to: "",
    killer: MACS,
  },
  {
    rule: "signatures: each bit of the MAC counts",
    file: MAC,
    from: "difference |= datagram",
    to: "difference = datagram",
    killer: MACS,
  },
  {
    rule: "signatures: no more keys than are given",
    file: SIGNED,
    from: "if (macs[i].verifyRequest(datagram, length)) return macs[i];",
    to: "if (macs[i].verifyRequest(datagram, length) || i === 1) return macs[i];",
    killer: SIGNED_RESPONSES,
  },
  {
    rule: "signatures: a request costs ids once",
    file: "lib/access/replay_window.ts",
    from: "this.#admitted.add(macHigh, macLow, timeMs);",
    to: "",
    killer: "tests/access/replay_window_test.ts",
  },
  {
    rule: "signatures: forgotten requests are stale",
    file: "lib/access/replay_window.ts",
    from: "Math.max(this.#beginMs, this.#admitted.forgottenTimeMs)",
    to: "this.#beginMs",
    killer: "tests/access/replay_window_test.ts",
  },
  {
    rule: "signatures: a stale request is answered once",
    file: SIGNED,
    from: "isStale && staleAnswers.has(macHigh, macLow)",
    to: "isStale && false",
    killer: SIGNED_RESPONSES,
  },
  {
    rule: "signatures: so many stale requests are answered a second",
    file: SIGNED,
    from: "if (!staleAnswers.take(macHigh, macLow, now)) return 0;",
    to: "staleAnswers.take(macHigh, macLow, now);",
    killer: SIGNED_RESPONSES,
  },
  {
    rule: "keys: no key that has the same few bytes",
    file: KEY,
    from: "new Set(key).size < MIN_DISTINCT",
    to: "new Set(key).size < 2",
    killer: KEYS,
  },
  {
    rule: "keys: no key that goes in the same few steps",
    file: KEY,
    from: "new Set(steps).size < MIN_DISTINCT",
    to: "new Set(steps).size < 1",
    killer: KEYS,
  },
  {
    rule: "keys: no key that is text",
    file: KEY,
    from: "if (key.every(isText))",
    to: "if (key.every((byte) => byte === 0x20))",
    killer: KEYS,
  },
  {
    rule: "keys: none that the group may write",
    file: KEY_ACCESS,
    from: "(mode & GROUP_WRITES) !== 0",
    to: "(mode & GROUP_WRITES) > 0o020",
    killer: KEYS_ACCESS,
  },
  {
    rule: "keys: none of another user's",
    file: KEY_ACCESS,
    from: "if (uid !== own) {",
    to: "if (own === null) {",
    killer: KEYS_ACCESS,
  },
  {
    rule: "no answer to what is no request",
    file: RESPONDER,
    from: "counts[NO_REQUEST]++;\n    return 0;",
    to: "counts[NO_REQUEST]++;\n    return 1;",
    killer: LOOPS,
  },
  {
    rule: "no answer to what has the form of a response",
    file: RESPONDER,
    from: "if (!isReservedZero(datagram)) return ignore();",
    to: "if (!isReservedZero(datagram)) return 32;",
    killer: LOOPS,
  },
  {
    rule: "limit: all workers spend from one count, a lease at a time",
    file: "lib/access/source_table.ts",
    from: "memory.places[place + IDS] = spent + leased;",
    to: "memory.places[place + IDS] = spent;",
    killer: SOURCE_TABLES,
  },
  {
    rule: "limit: a worker leases no more than is left",
    file: "lib/access/source_table.ts",
    from: "Math.floor(left / this.#leaseParts)), left);",
    to: "Math.floor(left / this.#leaseParts)), this.#idsPerTick);",
    killer: SOURCE_TABLES,
  },
  {
    rule: "limit: a worker whose clock is behind has nothing of the table's tick",
    file: "lib/access/source_table.ts",
    from: "if (tick === memory.tick[0]) {",
    to: "if (tick <= memory.tick[0]) {",
    killer: SOURCE_TABLES,
  },
  {
    rule: "limit: a late clock does not turn the table back",
    file: "lib/access/source_table.ts",
    from: "tick >= memory.tick[0] - this.#setBackTicks",
    to: "tick >= memory.tick[0]",
    killer: SOURCE_TABLES,
  },
  {
    rule: "limit: only one worker uses the table at a time",
    file: "lib/node/node_pool.ts",
    from: "this.#memory.sourcesMutex.lock();",
    to: "",
    killer: POOL_PROCESSES,
  },
  {
    rule: "limit: a source without a place of its own keeps no lease that another could spend",
    file: "lib/access/source_limit.ts",
    from: "if (place === NO_PLACE) return this.#spendWithoutPlace(high, low, count, tick);",
    to: "if (place === NO_PLACE) return count;",
    killer: SOURCE_TABLES,
  },
  {
    rule: "limit: the addresses of a prefix are one source",
    file: "lib/access/source_limit.ts",
    from: "(words[1] & this.#lowMask) >>> 0",
    to: "words[1]",
    killer: "tests/access/source_limit_test.ts",
  },
  {
    rule: "limit: ids are charged to their own tick",
    file: "lib/access/limited_responder.ts",
    from: "return limit.spend(source, granted, lastTick) === granted ? answered : refuse(datagram, length);",
    to: "return answered;",
    killer: "tests/access/limited_responder_test.ts",
  },
  {
    rule: "limit: the parts of workers without a pool add up to no more than the whole",
    file: "lib/access/part_of.ts",
    from: "Math.floor(ids / workers)",
    to: "Math.ceil(ids / workers)",
    killer: "tests/access/part_of_test.ts",
  },
  {
    rule: "no answer to a response, of a server whose sources have no ids left",
    file: "lib/wire/requested_ids.ts",
    from: "return isReservedZero(datagram) ? datagram.getUint32(4) : 0;",
    to: "return datagram.getUint32(4);",
    killer: LOOPS,
  },
  {
    rule: "errors keep no exchange going",
    file: RESPONDER,
    from: "      if (omitsError(random)) return 0;\n",
    to: "",
    killer: LOOPS,
  },
  {
    rule: "nor do those of a source without ids",
    file: "lib/access/limited_responder.ts",
    from: "    if (omitsError(Math.random)) return 0;\n",
    to: "",
    killer: LOOPS,
  },
  {
    rule: "nor BAD_REQUEST",
    file: RESPONDER,
    from: "if (count === 0 && omitsError(random)) return 0;",
    to: "",
    killer: LOOPS,
  },
  {
    rule: "no answer to ports of services",
    file: "lib/udp/client_port.ts",
    from: "return port >= FIRST_UNPRIVILEGED_PORT;",
    to: "return port >= 1;",
    killer: "tests/udp/client_port_test.ts",
  },
  {
    rule: "no sender has more of an overloaded receive than the others",
    file: "lib/udp/fair_share.ts",
    from: "Math.floor(SHARED_DATAGRAMS / this.#senders)",
    to: "SHARED_DATAGRAMS",
    killer: "tests/udp/fair_share_test.ts",
  },
  {
    rule: "no request has more ids than one may have",
    file: RESPONDER,
    from: "tryRange(Math.min(count, maxCount))",
    to: "tryRange(count)",
    killer: "tests/wire/responder_test.ts",
  },
  {
    rule: "client: no tag can be told from those before",
    file: REQUEST_TABLE,
    from: "request.tagHigh = this.#random.next();",
    to: "request.tagHigh = this.#size;",
    killer: REQUEST_TABLES,
  },
  {
    rule: "client: a response has the whole tag of its request",
    file: REQUEST_TABLE,
    from: "request?.tagLow === tagLow && request.tagHigh === tagHigh ?",
    to: "request?.tagLow === tagLow ?",
    killer: REQUEST_TABLES,
  },
  {
    rule: "client: a request has one response",
    file: REQUESTER,
    from: "      this.#end(request);\n      request.resolve(response, server);",
    to: "      request.resolve(response, server);",
    killer: REQUESTERS,
  },
  {
    rule: "client: it comes from a port that was asked",
    file: "lib/client/_pending_request.ts",
    from: "if (server.host === host && server.port === port) return server;",
    to: "if (server.host === host) return server;",
    killer: REQUESTERS,
  },
  ...["deno", "libc", "node"].map((kind) => ({
    rule: `client: and from the server's address (${kind})`,
    file: `lib/client/_${kind}_socket.ts`,
    from: {
      deno: " || !this.#server.isText(sender.hostname)) continue;",
      libc: "if (this.#server.isSockaddr(this.#incoming.senders[message])) await",
      node: " || !server.isText(sender.address)) return;",
    }[kind] as string,
    to: { deno: ") continue;", libc: "await", node: ") return;" }[kind] as string,
    killer: REQUEST_SOCKETS,
  })),
  {
    rule: "client: and from a server that was asked",
    file: "lib/client/_pending_request.ts",
    from: "if (server.host === host && server.port === port) return server;",
    to: "if (server.port === port) return server;",
    killer: NEAREST,
  },
  {
    rule: "client: and answers the request as that server got it, if it is signed",
    file: REQUESTER,
    from: "request.servers[i] === server && mac",
    to: "mac",
    killer: NEAREST,
  },
  {
    rule: "client: no id that was fetched ahead from one server comes after those of another",
    file: "lib/client/_prefetched_ids.ts",
    from: "if (this.#server?.host !== host) this.#size = 0;",
    to: "if (host === undefined) this.#size = 0;",
    killer: "tests/client/id_client_test.ts",
  },
  {
    rule: "client: it has no id that came before",
    file: REQUESTER,
    from: "} else if (this.#received.add(response)) {",
    to: "} else if (this.#received !== undefined) {",
    killer: REQUESTERS,
  },
  {
    rule: "client: also with another step",
    file: "lib/client/_received_ids.ts",
    from: "if (sequence.has(first, last) || this.#othersHave(sequence, first, last)) return false;",
    to: "if (sequence.has(first, last)) return false;",
    killer: RECEIVED_IDS,
  },
  {
    rule: "client: also in part",
    file: "lib/client/_id_sequence.ts",
    from: "return below > 0 && this.#highs[below - 1] >= low;",
    to: "return below > 0 && this.#lows[below - 1] === low;",
    killer: RECEIVED_IDS,
  },
  {
    rule: "a confined worker makes no system call that is not on the list",
    file: FILTER,
    from: "conditions(where, [answer(SECCOMP_RET_ALLOW)]))),\n    answer(SECCOMP_RET_ERRNO | EPERM),",
    to: "conditions(where, [answer(SECCOMP_RET_ALLOW)]))),\n    answer(SECCOMP_RET_ALLOW),",
    killer: CONFINED,
  },
  {
    rule: "a confined worker's system calls have the arguments on the list",
    file: FILTER,
    from: "skip(rest.length),",
    to: "skip(0),",
    killer: CONFINED,
  },
  {
    rule: "a confined worker writes to no file that the runtime has open",
    file: "lib/libc/stream_descriptors.ts",
    from: "isOpen && (status.getUint16(STX_MODE, LITTLE_ENDIAN) & S_IFMT) !== S_IFREG",
    to: "isOpen",
    killer: CONFINED,
  },
  {
    rule: "a confined worker's threads are all confined",
    file: FILTER,
    from: "SECCOMP_FILTER_FLAGS = 1 | 4;",
    to: "SECCOMP_FILTER_FLAGS = 4;",
    killer: CONFINED,
  },
  {
    rule: "a worker is confined before it serves",
    file: "lib/server/worker.ts",
    from: 'config.backend === "reuseport" ? confineWorker(shared) : undefined',
    to: "undefined",
    killer: "tests/system/confinement_test.ts",
  },
  {
    rule: "a confined worker can write to no file by memory that was mapped before",
    file: "lib/server/confine_worker.ts",
    from: "    memory.unshare(kept);\n",
    to: "",
    killer: CONFINED,
  },
  {
    rule: "memory that is only read now is given up, too",
    file: "lib/libc/memory_map.ts",
    from: "(.)(.).s [",
    to: "(.)(w).s [",
    killer: CONFINED,
  },
  {
    rule: "a confined worker keeps the pool",
    file: "lib/libc/memory_map.ts",
    from: "shared.filter(({ file }) => !keptFiles.includes(file))",
    to: "shared",
    killer: CONFINED,
  },
  {
    rule: "in a shared store, a claim begins past all that others can have reserved",
    file: "lib/reservation/shared_store.ts",
    from: "SETTLE_MS = LEAD_MS + 2 * SKEW_MS;",
    to: "SETTLE_MS = 0;",
    killer: SHARED,
  },
  {
    rule: "by the time at which it is made",
    file: HOLDER,
    from: "    try {\n      await this.#storeClock?.measure();",
    to: "    try {",
    killer: SHARED,
  },
  {
    rule: "and owns nothing before the store's time is there",
    file: HOLDER,
    from: "    this.#isSettling = true;\n",
    to: "",
    killer: SHARED,
  },
  {
    rule: "and so a pool whose record comes back goes on until then",
    file: HOLDER,
    from: "    this.#isSettling = true;\n",
    to: "",
    killer: HOLDS_SHARED,
  },
  {
    rule: "and is on record before anybody else claims the node",
    file: HOLDER,
    from: "      await this.#record.claim(this.#firstTick);\n    } catch",
    to: "    } catch",
    killer: SHARED,
  },
  {
    rule: "in a shared store, a mark is bounded by the store's time",
    file: HOLDER,
    from: "Math.min(wanted, this.#limit)",
    to: "wanted",
    killer: SHARED,
  },
  {
    rule: "in a shared store, a clock that is off gets no node",
    file: HOLDER,
    from: "if (this.#storeClock?.isOff) throw this.#storeClock.skewError;",
    to: "",
    killer: SHARED,
  },
  {
    rule: "a mark that was only read does not count",
    file: OWN_RECORD,
    from: "    this.#found = found;\n    this.#beat = Math.max(",
    to:
      "    this.#found = found;\n    this.#mark = Math.max(this.#mark, found.record.mark);\n    this.#beat = Math.max(",
    killer: SHARED,
  },
  {
    rule: "a record is not written again once others may have had the node",
    file: OWN_RECORD,
    from: "if (await this.#options.isOver(this.#mark)) {",
    to: "if (await this.#options.isOver(this.#mark) === null) {",
    killer: SHARED,
  },
  {
    rule: "which the store is asked for, since the monotonic clock may have stood still",
    file: HOLDER,
    from: "    await this.#storeClock.measure();\n    return this.#storeTick(SKEW_MS) >= mark;",
    to: "    return this.#storeTick(SKEW_MS) >= mark;",
    killer: SHARED,
  },
  {
    rule: "nor over that of another holder, though it is older",
    file: OWN_RECORD,
    from: "if (text === this.#replaced?.text) return older;",
    to: "if (record.beat <= (this.#replaced?.record.beat ?? 0)) return older;",
    killer: SHARED,
  },
  {
    rule: "nor over that of an earlier holder who has renewed since",
    file: OWN_RECORD,
    from: "if (record.beat > (this.#replaced?.record.beat ?? 0)) {",
    to: "if (this.#replaced === undefined) {",
    killer: SHARED,
  },
  {
    rule: "a record that is older than it was is not another's",
    file: OWN_RECORD,
    from: "if (parseHolder(record.holder).name === this.#options.name && record.beat < knownBeat) return older;",
    to: "",
    killer: SHARED,
  },
  {
    rule: "a record by this name that is not older is a copy's",
    file: OWN_RECORD,
    from: "parseHolder(record.holder).name === this.#options.name && record.beat < knownBeat",
    to: "parseHolder(record.holder).name === this.#options.name",
    killer: HOLDERS,
  },
  {
    rule: "a claim whose reply gets lost knows its own record",
    file: OWN_RECORD,
    from: "if (!isOwn || found === undefined) throw error;",
    to: "if (isOwn || found === undefined) throw error;",
    killer: HOLDERS,
  },
  {
    rule: "and counts only what it then writes",
    file: OWN_RECORD,
    from: "if (await this.#tryToChange((before) => Math.max(mark, before))) return;",
    to: "return;",
    killer: HOLDERS,
  },
  {
    rule: "in a shared store, a release does not lower the mark, so that the pool can go on for as long as it lasts",
    file: HOLDER,
    from: "this.#storeClock === undefined || this.#options.trustStore;",
    to: "true;",
    killer: SHARED,
  },
  {
    rule: "in a shared store, a pool goes on only while its reservation lasts",
    file: HOLD,
    from: "return storeClock.now() + SKEW_MS >= epochMs + mark * tickMs;",
    to: "return false;",
    killer: HOLDS_SHARED,
  },
  {
    rule: "as the pool knows, whatever has come on record since",
    file: HOLD,
    from: "pool.isClosed ? found.record.mark : Math.min(pool.mark, found.record.mark);",
    to: "found.record.mark;",
    killer: HOLDS_SHARED,
  },
  {
    rule: "also when a claim that continues one is made",
    file: HOLDER,
    from: "if (isContinued && !trustStore) await holder.#checkContinuity();",
    to: "",
    killer: HOLDS_SHARED,
  },
  {
    rule: "and still waits if it owned nothing",
    file: HOLD,
    from: "const ownsNothing = pool.firstUnusedTick >= mark;",
    to: "const ownsNothing = false;",
    killer: HOLDS_SHARED,
  },
  {
    rule: "in a shared store, a node is not taken from a machine that lives",
    file: HOLD,
    from: "    await checkGone(store, found, options);\n",
    to: "",
    killer: HOLDS_SHARED,
  },
  {
    rule: "a store is shared unless it says that it is not",
    file: "lib/reservation/checked_store.ts",
    from: "return this.#store.isLocal !== true;",
    to: "return this.#store.isLocal === false;",
    killer: "tests/reservation/checked_store_test.ts",
  },
  {
    rule: "a holder is gone only after several looks",
    file: FIND,
    from: "const LOOKS = 3;",
    to: "const LOOKS = 1;",
    killer: CLAIMS,
  },
  {
    rule: "all of which the store has answered",
    file: FIND,
    from: "looks = await this.#lookInTime() ? looks + 1 : -1;",
    to: "await this.#lookInTime(); looks++;",
    killer: CLAIMS,
  },
  {
    rule: "after a look that was not, the watch begins anew with the next one that is",
    file: FIND,
    from: "looks = await this.#lookInTime() ? looks + 1 : -1;",
    to: "looks = await this.#lookInTime() ? looks + 1 : 0;",
    killer: CLAIMS,
  },
  {
    rule: "a node is taken only if its record has stayed the same",
    file: FIND,
    from: "if (found?.text === this.#watched.get(this.#candidate)) return;",
    to: "return;",
    killer: CLAIMS,
  },
  {
    rule: "if others have changed, only those are watched that have not",
    file: FIND,
    from: "this.#watched = this.#unchanged(this.#watched);",
    to: "",
    killer: CLAIMS,
  },
  {
    rule: "a store that goes on being slow is an error",
    file: FIND,
    from: "const MAX_MISSES = 10;",
    to: "const MAX_MISSES = 100;",
    killer: CLAIMS,
  },
  {
    rule: "a store that is busy is asked for its list again, not one that is away",
    file: FIND,
    from: "await store.read(nodeIds[0]).catch(() => Promise.reject(error));",
    to: "",
    killer: CLAIMS,
  },
  {
    rule: "in good time",
    file: FIND,
    from: "monotonicClock.now() - beganMs < LOOK_MS;",
    to: "beganMs >= 0;",
    killer: CLAIMS,
  },
  {
    rule: "a node of another layout is left alone",
    file: FIND,
    from: "if (!isOfLayout(found.record.layout)) return nodeIds.length === 1; // the claim will say what is wrong",
    to: "",
    killer: CLAIMS,
  },
  {
    rule: "freeing: the holder is watched first",
    file: FREE,
    from: "const { value } = await search.next();",
    to: "await search.return(); const value = { found: await store.read(nodeId) };",
    killer: FREED,
  },
  {
    rule: "freeing: a holder of any layout is watched",
    file: FREE,
    from: "isOfLayout: () => true",
    to: "isOfLayout: () => false",
    killer: FREED,
  },
  {
    rule: "freeing: a node whose record has changed meanwhile is not free",
    file: FREE,
    from: "if (freed === undefined) throw",
    to: "if (freed === null) throw",
    killer: FREED,
  },
  {
    rule: "freeing: the mark stays",
    file: FREE,
    from: "{ ...record, beat",
    to: "{ ...record, mark: 0, beat",
    killer: FREED,
  },
  {
    rule: "freeing: the record is newer than the holder's",
    file: FREE,
    from: "beat: record.beat + 1",
    to: "beat: record.beat",
    killer: FREED,
  },
  {
    rule: "a holder changes its record with every renewal, and it grows",
    file: OWN_RECORD,
    from: "beat: this.#beat + 1,",
    to: "beat: this.#beat,",
    killer: HOLDERS,
  },
  {
    rule: "in a shared store, all releases reserve equally far ahead",
    file: "lib/reservation/shared_store.ts",
    from: "export const LEAD_MS = 10_000;",
    to: "export const LEAD_MS = 15_000;",
    killer: SHARED,
  },
  {
    rule: "in a shared store, nodes that were started at once renew at different times",
    file: HOLDER,
    from: "SHARED_RENEW_MS * (1 - Math.random() / 8)",
    to: "SHARED_RENEW_MS",
    killer: SHARED,
  },
  {
    rule: "a store that falls back is reported",
    file: STORE_WATCH,
    from: "now.revision < before.revision",
    to: "now.revision < 0",
    killer: SHARED,
  },
  {
    rule: "a store of another history is reported",
    file: STORE_WATCH,
    from: "now.id !== before.id",
    to: 'now.id === ""',
    killer: SHARED,
  },
  {
    rule: "etcd: a silent member is not waited for",
    file: MEMBER_CALL,
    from: "const HEDGE_MS = 100;",
    to: "const HEDGE_MS = 2000;",
    killer: ETCD_MEMBERS,
  },
  {
    rule: "etcd: at most a tenth more requests",
    file: "lib/reservation/stores/_etcd_members.ts",
    from: "const REQUESTS_PER_HEDGE = 10;",
    to: "const REQUESTS_PER_HEDGE = 1;",
    killer: ETCD_MEMBERS,
  },
  {
    rule: "etcd: an expired token is dropped",
    file: "lib/reservation/stores/_etcd_gateway.ts",
    from: "        this.#forget(token);\n        if",
    to: "        if",
    killer: "tests/reservation/stores/etcd_gateway_test.ts",
  },
  {
    rule: "a server goes on with the node that its machine had",
    file: NODE_CHOICE,
    from: "if (nodeId <= layout.maxNodeId) yield",
    to: "if (nodeId < 0) yield",
    killer: NODE_CHOICES,
  },
  {
    rule: "a pod has the node of its number",
    file: NODE_CHOICE,
    from: "nodeIdBase + Number(digits)",
    to: "Number(digits)",
    killer: NODE_CHOICES,
  },
  {
    rule: "if there is one of that number",
    file: NODE_CHOICE,
    from: "if (nodeId <= maxNodeId) return nodeId;",
    to: "return nodeId;",
    killer: NODE_CHOICES,
  },
  {
    rule: "client: a silent server is not waited for",
    file: NEAREST_SERVER,
    from: "const MIN_PATIENCE_MS = 15;",
    to: "const MIN_PATIENCE_MS = 3000;",
    killer: NEAREST,
  },
  {
    rule: "client: where all servers are silent, requests that wait find out which one is back",
    file: NEAREST_SERVER,
    from: "      for (const other of others) if (other.silentMs !== Infinity) this.#probe(other);\n",
    to: "",
    killer: NEAREST,
  },
  {
    rule: "client: a server has three times its usual time",
    file: NEAREST_SERVER,
    from: "const PATIENCE = 3;",
    to: "const PATIENCE = 1;",
    killer: NEAREST,
  },
  {
    rule: "client: at most a tenth more requests",
    file: NEAREST_SERVER,
    from: "const HEDGES = 0.1;",
    to: "const HEDGES = 1;",
    killer: NEAREST,
  },
];

/** How many mutations are tried at the same time. */
const LANES = navigator.hardwareConcurrency;

interface Outcome {
  code: number;
  output: string;
}

describe("without the rule, a test fails", () => {
  const outcomes = new Map<Mutation | string, Outcome>();
  const outcomeOf = (trial: Mutation | string) => {
    const outcome = outcomes.get(trial);
    assert(outcome !== undefined, "it has been tried");
    return outcome;
  };
  const killers = [...new Set(MUTATIONS.map(({ killer }) => killer))];

  it("(but with all rules in place, none does)", async () => {
    const waiting = [...killers, ...MUTATIONS].values();
    await Promise.all(Array.from({ length: LANES }, async () => {
      await using copy = await ProjectCopy.make();
      for (const trial of waiting) {
        outcomes.set(trial, typeof trial === "string" ? await copy.run(trial) : await copy.runMutated(trial));
      }
    }));
    for (const killer of killers) {
      const { code, output } = outcomeOf(killer);
      assertEquals(code, 0, output);
    }
  });

  for (const mutation of MUTATIONS) {
    it(mutation.rule, () => {
      const { code, output } = outcomeOf(mutation);
      assert(
        code !== 0 && /\| [0-9]+ passed.*\| [1-9][0-9]* failed/.test(output),
        `${mutation.killer} did not notice:\n${output}`,
      );
    });
  }
});

/** A copy of the project, for one mutation after the other. */
class ProjectCopy implements AsyncDisposable {
  private readonly temp: TempDir;

  private constructor(temp: TempDir) {
    this.temp = temp;
  }

  static async make(): Promise<ProjectCopy> {
    const temp = await TempDir.make();
    await Deno.mkdir(`${temp.path}/tests`, { recursive: true });
    // PostgreSQL, as a user of its own, has to reach its data, which is in here.
    await Deno.chmod(temp.path, 0o755);
    const { code } = await new Deno.Command("cp", { args: ["-r", "--parents", ...COPIED, temp.path], cwd: ROOT })
      .output();
    assertEquals(code, 0);
    return new ProjectCopy(temp);
  }

  /** Runs the test that is to notice a mutation, and undoes the mutation. */
  async runMutated({ file, from, to, killer }: Mutation): Promise<Outcome> {
    const source = await Deno.readTextFile(ROOT + file);
    assertEquals(source.split(from).length, 2, `${file} has exactly one place that says: ${from}`);
    await Deno.writeTextFile(`${this.temp.path}/${file}`, source.replace(from, () => to));
    const outcome = await this.run(killer);
    await Deno.writeTextFile(`${this.temp.path}/${file}`, source);
    return outcome;
  }

  /** Runs a test, up to the first case that fails. */
  async run(test: string): Promise<Outcome> {
    const permissions = [
      "--allow-read",
      "--allow-write",
      "--allow-ffi",
      "--allow-run",
      "--allow-sys=uid",
      "--allow-net",
      "--allow-env=PGBINARY,PGOPTIONS,PGREPLICATION",
    ];
    const { code, stdout } = await runDeno({
      deno: ["test", "--no-check", "--quiet", "--fail-fast", ...permissions],
      program: test,
      args: ["--", "--no-shrinking"],
      cwd: this.temp.path,
    });
    return { code, output: stdout };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.temp[Symbol.asyncDispose]();
  }
}
