/* One node id in a store that machines share, and that goes back.
 *
 * Claim: no two holders ever own a tick both (the assertion in `own`). Holders take ids from ticks that they own
 * whenever they like, also when they are displaced, cut off, or thought dead, so nothing else matters.
 *
 * What happens: time passes; holders claim, renew, release and die between any two steps, on MACHINES machines; claims
 * displace holders that live; a machine that is not rebooted keeps its pool; requests are executed late, or never, and
 * replies are lost; the store goes back to an earlier record, or loses it, BACKS times.
 *
 * Left out: clocks that are off, and the store's error in telling its time: SKEW_MS is for these, and here they are
 * right. Sequence numbers, workers, copies of a memory: see node.pml. And the one case that is not covered: a holder
 * that was cut off for longer than its reservation finds its last record again, though another had the node (`may_go_back`).
 *
 * -DWITHOUT=RULE leaves a rule out. Spin then finds a trail that breaks the claim.
 */

/* The rules: each has one place below, where with(RULE) says so. */
#define SETTLE 1           /* a claim begins past all that others can have reserved */
#define AFTER 2            /* ... by the time at which it is made */
#define ON_RECORD 11       /* ... and that is on record before anybody claims the node next */
#define WAIT 3             /* ... and owns nothing before its first tick is there */
#define BOUND 4            /* no mark is further than LEAD ahead */
#define OVER 6             /* a record that is gone, or older, is written again only while the reservation lasts */
#define NOT_OTHERS 7       /* ... and not over that of another holder */
#define POOL_LASTS 8       /* a pool goes on only while the reservation lasts */
#define CLOSED_LASTS 9     /* ... also a closed one, whose release is on record */
#define OWN_RELEASE 10     /* ... which is its own release, and not another's */
#define STILL_WAITS 5      /* who goes on for one that waits, waits */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define with(rule) (WITHOUT != rule)

/* ---- Bounds ---- */
#ifndef MACHINES
#define MACHINES 2
#endif
#ifndef HOLDERS
#define HOLDERS 3          /* so many names come on record */
#endif
#ifndef TIME
#define TIME 7             /* the last tick */
#endif
#ifndef BACKS
#define BACKS 1            /* how often the store goes back */
#endif
#ifndef BEATS
#define BEATS 6            /* how often a record can be written */
#endif
#ifndef LEAD
#define LEAD 0             /* how far ahead a holder reserves, in ticks: the present one and so many more */
#endif

#ifdef PROMPT
#define can_be_late false  /* every request is executed, and has a reply, at once */
#else
#define can_be_late true
#endif

byte now = 1;
byte backs;
byte names;

/* ---- The store ---- */

/* Who wrote a record, and for the how manieth time; `back` tells apart what was written before and after the store went
 * back. The name of what was given back is that of its holder, plus RELEASED. */
typedef Record { byte mark; byte name; byte beat; byte back }
#define RELEASED 32
#define is_free(r) (r.name == 0 || r.name >= RELEASED)
#define same(x, y) (x.mark == y.mark && x.name == y.name && x.beat == y.beat && x.back == y.back)
inline set(x, y) { x.mark = y.mark; x.name = y.name; x.beat = y.beat; x.back = y.back }
inline clear(x) { x.mark = 0; x.name = 0; x.beat = 0; x.back = 0 }

Record record, old;
typedef Request { bool pending; Record from; Record to }
Request late;              /* sent, and not executed when its sender went on or died */

inline forget_late() { late.pending = false; clear(late.from); clear(late.to) }

active proctype Store() {
end: do
  :: atomic { late.pending && same(late.from, record) -> set(record, late.to); forget_late() }
  :: atomic { late.pending -> forget_late() }
  od
}

/* ---- Holders ---- */

byte first[HOLDERS + 1];   /* by name: what it owns, for ever */
byte mark[HOLDERS + 1];

#define owns(n) (first[n] < mark[n])
#define apart(n, other) (n == other || !owns(n) || !owns(other) || mark[n] <= first[other] || mark[other] <= first[n])
#if HOLDERS == 2
#define all_apart(n) (apart(n, 1) && apart(n, 2))
#else
#define all_apart(n) (apart(n, 1) && apart(n, 2) && apart(n, 3))
#endif
inline own(name_, mark_) {
  mark[name_] = (mark_ > mark[name_] -> mark_ : mark[name_]);
  assert(all_apart(name_))
}

mtype = { DOWN, CLAIM, CLAIMED, BEGIN, SERVE, RENEW, RELEASE, LOOK };

typedef Server {
  mtype step;
  byte name;               /* that of the holder; of the pool, when it is down; 0: none */
  bit isClosed;            /* the pool */
  bit isSettling;
  bit isContinued;         /* the claim goes on from the closed pool */
  byte beat;               /* the highest that it knows */
  Record base;             /* what its next change replaces */
  Record replaced;         /* what its claim has replaced */
  Record next              /* the change that is under way */
}
Server server[MACHINES];
#define S server[m]

inline forget_change() { clear(S.next) }

inline go_down() {
  S.step = DOWN; S.isSettling = 0; S.isContinued = 0; S.beat = 0;
  clear(S.replaced); clear(S.base); forget_change()
}
inline lose_pool() { S.name = 0; S.isClosed = 0 }

/* It is executed, and there is a reply (MADE or refused); or there is none, and it is executed now, later or never. */
mtype = { MADE, REFUSED, NONE };
inline ask_store() {
  if
  :: same(S.base, record) -> set(record, S.next); reply = MADE
  :: !same(S.base, record) -> reply = REFUSED
  :: can_be_late && same(S.base, record) -> set(record, S.next); reply = NONE
  :: can_be_late && !late.pending -> late.pending = true; set(late.from, S.base); set(late.to, S.next); reply = NONE
  fi
}

#define max(a, b) (a > b -> a : b)
#define isOver(mark_) (now >= mark_)

inline prepare(mark_, name_) {
  S.next.mark = mark_; S.next.name = name_; S.next.beat = S.beat + 1; S.next.back = backs
}

inline own_from() {
  first[S.name] = S.next.mark; mark[S.name] = S.next.mark;
  S.isSettling = 1; S.step = SERVE; forget_change()
}

proctype Machine(byte m) {
  byte want;
  mtype reply;
end: do
  :: atomic { S.step == DOWN -> /* it looks, and goes on from its pool, or claims */
    set(S.base, record);
    S.beat = record.beat;
    if
    :: S.name != 0 && !S.isClosed && record.name == S.name && (!with(POOL_LASTS) || !isOver(record.mark) && !isOver(mark[S.name])) ->
      S.isSettling = (with(STILL_WAITS) && first[S.name] == mark[S.name] -> 1 : 0);
      S.step = SERVE
    :: !(S.name != 0 && !S.isClosed && record.name == S.name && !isOver(record.mark) && !isOver(mark[S.name])) && names < HOLDERS &&
       record.beat < BEATS ->
      set(S.replaced, record);
      S.isContinued = (S.name != 0 && S.isClosed && (!with(CLOSED_LASTS) || !isOver(record.mark)) &&
        (record.name == S.name || record.name >= RELEASED && (record.name == S.name + RELEASED || !with(OWN_RELEASE))) -> 1 : 0);
      want = record.mark;
      if
      :: S.isContinued || !with(AFTER) -> want = max(want, now + LEAD + 1)
      :: else -> want = max(want, now + 1)
      fi;
      names++;
      prepare(want, names);
      S.step = CLAIM
    :: else -> clear(S.base); S.beat = 0
    fi;
    want = 0 }
  :: atomic { S.step == CLAIM ->
    ask_store();
    if
    :: reply == MADE ->
      set(S.base, S.next); S.beat = S.next.beat;
      if
      :: S.isContinued && with(CLOSED_LASTS) && isOver(S.replaced.mark) -> go_down(); lose_pool()
      :: S.isContinued && !(with(CLOSED_LASTS) && isOver(S.replaced.mark)) -> /* in the place of the pool, whose holder has used what is below its mark */
        first[S.next.name] = mark[S.name]; mark[S.next.name] = mark[S.name];
        S.name = S.next.name; S.isClosed = 0;
        own(S.name, S.next.mark); S.step = SERVE
      :: else -> S.name = S.next.name; S.isClosed = 0; S.step = CLAIMED
      fi;
      forget_change()
    :: else -> forget_change(); go_down(); lose_pool()
    fi;
    reply = 0 }
  :: atomic { S.step == CLAIMED ->
    want = S.base.mark;
    if :: with(AFTER) && with(SETTLE) -> want = max(want, now + LEAD + 1) :: else fi;
    prepare(want, S.name);
    want = 0;
    if
    :: with(ON_RECORD) -> S.step = BEGIN
    :: !with(ON_RECORD) -> own_from()
    fi }
  :: atomic { S.step == BEGIN ->
    ask_store();
    if
    :: reply == MADE -> set(S.base, S.next); S.beat = S.next.beat; own_from()
    :: else -> go_down(); lose_pool()
    fi;
    reply = 0 }

  :: atomic { S.step == SERVE && S.beat < BEATS ->
    if :: now >= first[S.name] || !with(WAIT) -> S.isSettling = 0 :: else fi;
    want = max(mark[S.name], S.base.mark);
    if
    :: !S.isSettling && with(BOUND) -> want = max(want, now + LEAD + 1)
    :: !S.isSettling && !with(BOUND) -> want = max(want, now + LEAD + 2)
    :: true
    fi;
    prepare(want, S.name); want = 0; S.step = RENEW }
  :: atomic { S.step == RENEW ->
    ask_store();
    if
    :: reply == MADE ->
      set(S.base, S.next); S.beat = S.next.beat;
      own(S.name, S.next.mark); S.step = SERVE
    :: else -> S.step = LOOK
    fi;
    forget_change(); reply = 0 }
  :: atomic { S.step == LOOK ->
    if
    :: record.name == S.name && record.beat >= S.beat ->
      set(S.base, record); S.beat = record.beat;
      S.step = SERVE
    :: else ->
      if
      :: (record.name == 0 || record.name == S.name || same(record, S.replaced) || !with(NOT_OTHERS)) &&
         (!with(OVER) || !isOver(mark[S.name])) ->
        set(S.base, record); S.step = SERVE
      :: else -> go_down(); lose_pool()
      fi
    fi }

  :: atomic { S.step == SERVE && S.beat < BEATS -> /* a clean end: it has used any part of what it owns */
    S.isClosed = 1;
    do :: mark[S.name] > first[S.name] -> mark[S.name] = mark[S.name] - 1 :: break od;
    prepare(S.base.mark, S.name + RELEASED); S.step = RELEASE }
  :: atomic { S.step == RELEASE -> ask_store(); reply = 0; go_down() }

  :: atomic { S.step != DOWN -> /* dies; what it has asked for may be under way */
    if
    :: S.step == CLAIM || S.step == CLAIMED || S.step == BEGIN -> lose_pool()
    :: else
    fi;
    go_down() }
  :: atomic { S.step == DOWN && S.name != 0 -> lose_pool() } /* it is rebooted */
  od
}

/* The store may go back to a record unless its holder runs, has overstayed its reservation, and was displaced. */
#define overstays(m, r) (server[m].step != DOWN && server[m].name == r.name && isOver(mark[r.name]) && record.name != r.name)
#if MACHINES == 3
#define may_go_back (!overstays(0, old) && !overstays(1, old) && !overstays(2, old))
#else
#define may_go_back (!overstays(0, old) && !overstays(1, old))
#endif

init { /* and fate */
  atomic {
    server[0].step = DOWN; run Machine(0);
    server[1].step = DOWN; run Machine(1);
#if MACHINES == 3
    server[2].step = DOWN; run Machine(2)
#endif
  }
end: do
  :: atomic { now < TIME -> now++ }
  :: atomic { backs < BACKS && old.name == 0 && record.name != 0 -> set(old, record) } /* a backup, to which it ... */
  :: atomic { backs < BACKS && old.name != 0 && may_go_back && !same(old, record) -> /* ... goes back */
    set(record, old); clear(old); backs++ }
  :: atomic { backs < BACKS && old.name == 0 && record.name != 0 -> clear(record); backs++ }
  od
}
