/* One node id: the store's record, the pools of two machines, workers, supervisors, and all that can happen to them.
 *
 * Claims. Of every id that is given out (the assertions in `give`):
 *   unique        it has not been given out before;
 *   order         it is higher than every id given out before by its own holder, or by one that came before. Only a
 *                 holder that was displaced goes on below the ids of its successors, with ticks that are its own.
 * Of the node:
 *   serving       a supervisor that serves has an open pool (the assertion at SERVE);
 *   started       when all have died, and the store answers, a start on either machine gets ids (the assertion after
 *                 it; a start that is stuck is an invalid end state);
 *   nothing lost  a worker that dies before it has taken leaves the pool as it was (the assertion in `begin_tick`).
 *
 * What happens: workers and supervisors die between any two steps, and start again; machines reboot; the other machine
 * claims the node; requests to the store are late, or lost, and so are replies; clean ends; clocks say what they like.
 * Any number of times, within TICKS, HOLDERS, and one late request at a time.
 *
 * Where the code is stricter, because a store that machines share may go back (see shared_store.pml), and a store that
 * does not go back needs less:
 *   a mark that was only read (at LOOK to resume, and at ASK) counts here at once; the code writes it once more first;
 *   a release on record counts here as that of the pool if its mark is the pool's first unused tick (EXACT_MARK); the
 *   code asks whether the pool has noted the attempt.
 *
 * Configurations (model_full_test.ts has the bounds, and each is checked exhaustively):
 *   (none)     all of the above;
 *   -DREPLACE  a second supervisor on machine 0: each can take over from the other. Machine 1 claims the node and no
 *              more, and there are no reboots;
 *   -DCOPY     the memory of machine 0 is copied onto machine 1, which was off, at any moment, once. No reboots;
 *   -DPLACELESS  (none), and what goes on from a closed pool may be in no file, since there can be none;
 *   -DLITERAL  (none), but each step by itself, and nothing forgotten. All others make some steps at once and forget
 *              what nobody looks at again: this one shows that it makes no difference.
 *
 * -DWITHOUT=RULE leaves a rule out. Spin then finds a trail that breaks a claim.
 */

/* The rules: each has one place below, where with(RULE) or #if says so. */
#define MUTEX 1            /* one worker at a time leases from a pool */
#define SECOND_SLOT 2      /* a later tick begins in the slot that is not current */
#define COMMIT_ORDER 3     /* ... and its tick is stored last: or else a death loses numbers; it never repeats one */
#define BELOW_MARK 4       /* no tick at or past the mark */
#define NOTHING_KEPT 5     /* a worker takes what it answers, and keeps nothing for later */
#define BOOT 6             /* a pool is good for the boot in which it was made */
#define HOLDER 7           /* ... and for the record that belongs to it */
#define NOTED 8            /* which is one that this memory noted before it asked for it */
#define ACKNOWLEDGED 9     /* a mark counts once it has been written */
#define FROM_MARK 10       /* a new holder begins at the mark */
#define NEVER_LOWER 11     /* ... and never lowers it */
#define COMPARE 12         /* the store changes nothing but the record that the request names */
#define CLOSE 13           /* a pool is closed before something is given back */
#define STAYS_CLOSED 14    /* ... and goes on only under another record */
#define LATE_REPLY 15      /* ... also when a reply comes late */
#define UNUSED_ONLY 16     /* what is given back begins with the first unused tick */
#define EXACT_MARK 17      /* what was given back is taken up again only if nobody else had it */
#define OWNER_CLOSES 18    /* after a takeover, only the new supervisor may close: or else it serves nothing */
#define COMMIT_OPEN 19     /* nobody takes over a closed pool: the same */
#define NODE_LOCK 20       /* one supervisor at a time, but for takeovers. No claim needs it: it keeps the peace */
#define IN_PLACE 21        /* who goes on where a closed pool ends has taken its place in the machine's file */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define with(rule) (WITHOUT != rule)

/* ---- Bounds ---- */
#ifndef TICKS
#define TICKS 3            /* as many ticks can have ids: FIRST to LAST - 1 */
#endif
#define FIRST 4            /* with room below, for what happens without a rule */
#define LAST (FIRST + TICKS) /* the highest mark */
#ifndef HOLDERS
#define HOLDERS 3          /* so many names come on record, and one more for the start when all have died */
#endif
#define NUMBERS 2          /* sequence numbers a tick */
#define NAMES (HOLDERS + 2)
#ifdef REPLACE
#define SUPERVISORS 3
#define is_alone false
#else
#define SUPERVISORS 2
#define is_alone true
#endif

bit calm;                  /* all have died, nothing fails any more, and ... */
byte starter;              /* ... this supervisor starts: its index + 1; 0 when it has ids */

#ifdef LITERAL
#define literal true
#else
#define literal false
#endif

/* ---- The store ---- */

/* The holder is a name and a nonce. Names count up as they come on record, so a later holder has a higher one. All
 * that a nonce does is to tell a machine from its copy: `line` is 0 for those drawn before the copy, which both
 * have noted. */
typedef Record { byte mark; byte name; byte line }
#define GIVEN_BACK 0
#define FRESH 255          /* the next name */
Record record;
byte names;                /* how many have come on record */

typedef Request { bool pending; Record from; Record to }
Request late;              /* sent, and not executed when its sender went on or died */

mtype = { NONE, MADE, REFUSED };
mtype reply;               /* of the request that is being made */

#define same(a, b) (a.mark == b.mark && a.name == b.name && a.line == b.line)

inline set(a, b) { a.mark = b.mark; a.name = b.name; a.line = b.line }
inline clear(a) { a.mark = 0; a.name = 0; a.line = 0 }

inline forget_late() { late.pending = false; clear(late.from); clear(late.to) }

inline compare_and_set(expected, mark_, name_, line_) {
  if
  :: with(COMPARE) && !same(record, expected) -> reply = REFUSED
  :: else ->
    if
    :: name_ == FRESH && names == HOLDERS + calm -> reply = REFUSED /* the bound */
    :: else ->
      names = names + (name_ == FRESH -> 1 : 0);
      record.mark = mark_; record.name = (name_ == FRESH -> names : name_); record.line = line_; reply = MADE;
      if /* In vain for ever: names go up, and so do a holder's marks. Only what was given back may come again. */
      :: late.from.name != GIVEN_BACK && !same(late.from, record) && with(COMPARE) && !literal -> forget_late()
      :: else
      fi
    fi
  fi
}

active proctype Store() {
end: do
  :: atomic { late.pending ->
    compare_and_set(late.from, late.to.mark, late.to.name, late.to.line); forget_late(); reply = 0 }
  :: atomic { late.pending -> forget_late() } /* it is lost */
  od
}

/* ---- The pools: room for one of each holder on each machine ---- */

typedef Pool {
  byte tick[2]; byte taken[2] /* two slots: the one with the higher tick is current */
  byte mark;                  /* 0: closed, or nobody has it mapped any more */
  byte owner                  /* which supervisor: its index + 1 */
}
Pool pool[2 * NAMES];
byte current[2];              /* whose pool is in the file of the machine, by name; 0: none of this boot */
byte line[2];                 /* see Record */

#define at(m, name) ((m) * NAMES + (name))
#define is_open(p) (pool[p].mark != 0)
#define newer(p) (pool[p].tick[1] > pool[p].tick[0] -> 1 : 0)
#define tick_of(p) pool[p].tick[newer(p)]
#define taken_of(p) pool[p].taken[newer(p)]
#define first_unused(p) (tick_of(p) + (with(UNUSED_ONLY) && taken_of(p) > 0 -> 1 : 0))
#define has_ids(p) (is_open(p) && (tick_of(p) + 1 < pool[p].mark || tick_of(p) < pool[p].mark && taken_of(p) < NUMBERS))
#define belongs(r, m, n) (!with(HOLDER) || r.name == n && (!with(NOTED) || r.line == 0 || r.line == line[m]))

inline raise(p, to) {
  if
  :: pool[p].mark < to && (is_open(p) || !with(LATE_REPLY)) -> pool[p].mark = to
  :: else
  fi
}

inline wipe(p) {
  pool[p].tick[0] = 0; pool[p].taken[0] = 0; pool[p].tick[1] = 0; pool[p].taken[1] = 0;
  pool[p].mark = 0; pool[p].owner = 0
}

/* Whoever still has it mapped sees that it is closed, and nothing else in it matters any more. */
inline forget_pool(name_) {
  if :: name_ != 0 && !is_open(at(m, name_)) && !literal -> wipe(at(m, name_)) :: else fi
}

/* ---- Ids that are given out ---- */

/* One id is remembered, any one that Spin likes, and all later ones are held against it. */
byte seen_tick, seen_number, seen_name;
byte forgiven;                /* ticks below it may come twice: they were spoken for when the memory was copied */

inline give(name_, tick_, number_) {
  if
  :: tick_ < forgiven
  :: else ->
    if
    :: seen_name != 0 ->
      assert(tick_ != seen_tick || number_ != seen_number); /* unique */
      /* order, from take to take (without the mutex, this comes some time after the take) */
      assert(name_ < seen_name || tick_ > seen_tick || tick_ == seen_tick && number_ > seen_number || !with(MUTEX))
    :: seen_name == 0 -> seen_tick = tick_; seen_number = number_; seen_name = name_
    :: true
    fi
  fi
}

inline forget_seen() { seen_tick = 0; seen_number = 0; seen_name = 0 }

/* ---- Workers ---- */

/* Between two takes, a worker knows nothing but where its pool is. So one process stands for any number of workers:
 * new ones, ones that die, orphans. It takes from any pool that a process can still have. An id that is taken and
 * never answered is one that Spin does not remember. A range of ids is several takes. */
#if WITHOUT == MUTEX
#define WORKERS 2
#define UNDER_MUTEX
#else
/* What is between two stores, nobody sees but who gets the mutex after a death. So this is one step, with such
 * deaths. */
#define UNDER_MUTEX atomic
#if WITHOUT == NOTHING_KEPT
#define WORKERS 2
#else
#define WORKERS 1
#endif
#endif

inline begin_tick() {
  if :: with(SECOND_SLOT) -> slot = 1 - slot :: else fi;
#if WITHOUT == COMMIT_ORDER
  number = pool[p].tick[1 - slot];
  pool[p].tick[slot] = tick;
  if :: true -> assert(tick_of(p) == number) /* dies: nothing lost */
     :: pool[p].taken[slot] = 1; give(name, tick, 0)
  fi
#else
  pool[p].taken[slot] = 1;
  if
  :: true -> /* dies */
    if :: with(SECOND_SLOT) && !literal -> pool[p].taken[slot] = 0 :: else fi
  :: pool[p].tick[slot] = tick;
#if WITHOUT == NOTHING_KEPT
    if
    :: kept_name == 0 -> pool[p].taken[slot] = 2; kept_name = name; kept_tick = tick
    :: true
    fi;
#endif
    if /* what does not count, nobody ever reads */
    :: with(SECOND_SLOT) && !literal -> pool[p].tick[1 - slot] = 0; pool[p].taken[1 - slot] = 0
    :: else
    fi;
    give(name, tick, 0)
  fi
#endif
}

active [WORKERS] proctype Worker() {
  byte m, name, p, tick, slot, number, kept_tick, kept_name;
end: do
  :: UNDER_MUTEX {
    !calm && names > 0;
    if :: m = 0 :: m = 1 fi;
    name = 1; do :: name < names -> name++ :: break od;
    p = at(m, name);
    if
    :: !is_open(p)
    :: is_open(p) ->
      tick = tick_of(p); /* its clock is not ahead of the others': it follows */
      do :: tick < LAST - 1 -> tick++ :: break od;
      slot = newer(p);
      if
      :: with(BELOW_MARK) && tick >= pool[p].mark
      :: else ->
        if
        :: tick > pool[p].tick[slot] -> begin_tick()
        :: tick == pool[p].tick[slot] && pool[p].taken[slot] < NUMBERS ->
          number = pool[p].taken[slot];
          pool[p].taken[slot] = number + 1;
          give(name, tick, number)
        :: else
        fi
      fi
    fi;
    m = 0; name = 0; p = 0; tick = 0; slot = 0; number = 0
  }
#if WITHOUT == NOTHING_KEPT
  :: atomic { kept_name != 0 -> give(kept_name, kept_tick, 1); kept_name = 0; kept_tick = 0 }
#endif
  od
}

/* ---- Supervisors ---- */

mtype = { DOWN, READ, LOOK, CLAIM, MAKE, SERVE, RENEW, WRITTEN, ASK, RELEASE, LOOK_TO_REPLACE, COMMIT };

typedef SupervisorState {
  mtype step;
  byte name;                  /* whose pool it has mapped; 0: none */
  Record last;                /* the record, as far as it knows */
  byte want;                  /* the mark that it is about to write */
  byte nonce;                 /* ... and the line of its nonce */
  bit placeless               /* its new pool will be in no file */
}
SupervisorState sup[SUPERVISORS];
byte lock[2];                 /* who has the node's lock on the machine: its index + 1 */

#define S sup[i]
#define mine at(m, S.name)
#define is_owner (pool[mine].owner == i + 1)
#define machine_of(i) (i == 1 -> 1 : 0)

/* There is a reply; or the sender goes on without one, and the request is executed later, or lost. */
inline ask_store(mark_, name_, line_) {
  if
  :: compare_and_set(S.last, mark_, name_, line_)
  :: !calm && !late.pending && (is_alone || m == 0) -> reply = NONE;
    late.pending = true; set(late.from, S.last); late.to.mark = mark_; late.to.name = name_; late.to.line = line_
  fi
}

inline or_higher(mark_) { do :: mark_ < LAST -> mark_++ :: break od }

inline go_down(i_, m_) {
  if
  :: pool[at(m_, sup[i_].name)].owner == i_ + 1 && !literal -> pool[at(m_, sup[i_].name)].owner = 0 /* is nobody */
  :: else
  fi;
  sup[i_].step = DOWN; sup[i_].name = 0; clear(sup[i_].last); sup[i_].want = 0; sup[i_].nonce = 0;
  sup[i_].placeless = 0;
  if :: lock[m_] == i_ + 1 -> lock[m_] = 0 :: else fi
}

inline make_pool() {
  pool[at(m, S.last.name)].mark = S.want; pool[at(m, S.last.name)].owner = i + 1;
  if
  :: S.name != 0 ->
    pool[at(m, S.last.name)].tick[0] = tick_of(mine); pool[at(m, S.last.name)].taken[0] = taken_of(mine)
  :: else ->
    pool[at(m, S.last.name)].tick[0] = S.last.mark - (with(FROM_MARK) -> 1 : 2);
    pool[at(m, S.last.name)].taken[0] = NUMBERS
  fi;
  if
  :: S.placeless -> S.placeless = 0
  :: else -> forget_pool(current[m]); current[m] = S.last.name
  fi;
  S.name = S.last.name; S.last.mark = S.want; S.want = 0
}

/* The machines are alike, so let it be machine 0 that begins; and so are the two supervisors there, so let it be
 * the first that starts when there is none, while either can take over from the other. */
#ifdef COPY
#define is_on (line[0] != 0)
#else
#define is_on (names > 0)
#endif
#define may_start(i, m) ((lock[m] == 0 || !with(NODE_LOCK)) && (calm -> starter == i + 1 : \
  (m == 0 || is_on) && (i != 2 || !with(NODE_LOCK))))
#ifdef REPLACE
#define may_step(i, m) (S.step != DOWN || !calm || may_start(i, m))
#else
#define may_step(i, m) (S.step != DOWN || may_start(i, m))
#endif

/* Steps that are made at once (unless it dies). What comes between, no other process can tell; or it comes out as
 * if the step before had been made later, or a reply had been lost, or a request been late. With two supervisors on
 * a machine, a reply that is late matters; and a copy can be made when an attempt has been noted and not been sent. */
#ifdef COPY
#define is_copied (line[0] != 0)
#else
#define is_copied true
#endif
#define at_once(step) (!literal && (step == READ || step == LOOK || step == LOOK_TO_REPLACE || step == MAKE || \
  step == RELEASE || step == WRITTEN && is_alone || step == RENEW && is_copied))

/* A supervisor can die between any two steps. What a step does to a pool, it does under the pool's mutex. */
proctype Supervisor(byte i; byte m) {
end: do
  :: atomic { may_step(i, m) ->
next: if
    :: S.step == DOWN && may_start(i, m) -> lock[m] = i + 1; S.step = READ
    :: S.step == READ -> set(S.last, record); S.step = LOOK
    :: S.step == LOOK ->
      S.name = current[m];
      if
      :: S.name != 0 && (is_open(mine) || !with(STAYS_CLOSED)) && belongs(S.last, m, S.name) -> /* resume */
        pool[mine].owner = i + 1;
        if :: pool[mine].mark < S.last.mark -> pool[mine].mark = S.last.mark :: else fi;
        S.step = SERVE
      :: else ->
#ifdef PLACELESS
        if :: true :: m == 0 && S.name != 0 && !is_open(mine) -> S.placeless = 1 fi; /* where it makes a difference */
#endif
        if
        :: S.name != 0 && !is_open(mine) && (!S.placeless || !with(IN_PLACE)) && (belongs(S.last, m, S.name) ||
          S.last.name == GIVEN_BACK && (S.last.mark == first_unused(mine) || !with(EXACT_MARK))) /* go on from there */
        :: else -> S.name = 0 /* from the mark */
        fi;
        S.step = CLAIM
      fi
    :: S.step == CLAIM ->
      S.want = (with(NEVER_LOWER) -> S.last.mark : FIRST); or_higher(S.want);
      ask_store(S.want, FRESH, line[m]);
      if
      :: reply == MADE -> S.last.name = names; S.last.line = line[m]; S.step = MAKE
      :: else -> S.name = 0; S.want = 0; S.placeless = 0; clear(S.last); S.step = READ
      fi
    :: S.step == MAKE -> make_pool(); S.step = SERVE;
#ifdef REPLACE
      if :: m == 1 -> go_down(i, m) :: else fi
#endif

    :: S.step == SERVE && is_owner && !(calm && has_ids(mine)) ->
      assert(is_open(mine)); /* serving */
      if
      :: S.last.mark < LAST ->
        S.want = S.last.mark + 1; or_higher(S.want); S.nonce = line[m]; /* it notes the attempt */
        if :: !with(ACKNOWLEDGED) -> raise(mine, S.want) :: else fi;
        S.step = RENEW
      :: else -> assert(!calm || WITHOUT != 0) /* started: there are more ticks, so there are ids */
      fi
    :: S.step == RENEW ->
      ask_store(S.want, S.name, S.nonce);
      if
      :: reply == MADE -> S.last.mark = S.want; S.last.line = S.nonce; S.step = WRITTEN
      :: else -> S.step = ASK
      fi;
      S.want = 0; S.nonce = 0
    :: S.step == WRITTEN -> raise(mine, S.last.mark); S.step = SERVE
    :: S.step == ASK -> /* after no reply, or a refusal */
      if
      :: belongs(record, m, S.name) -> set(S.last, record); S.step = (S.want == 0 -> WRITTEN : RELEASE)
      :: else -> go_down(i, m) /* displaced; or what it gave back was written */
      fi

    :: S.step == SERVE && !calm && (is_owner || !with(OWNER_CLOSES)) -> /* a clean end */
      S.want = first_unused(mine);
      if :: with(CLOSE) -> pool[mine].mark = 0 :: else fi;
      S.step = RELEASE
    :: S.step == RELEASE ->
      ask_store(S.want, GIVEN_BACK, 0);
      if :: reply == MADE -> go_down(i, m) :: else -> S.step = ASK fi

#ifdef REPLACE
    :: S.step == DOWN && !calm -> set(S.last, record); S.step = LOOK_TO_REPLACE
    :: S.step == LOOK_TO_REPLACE ->
      S.name = current[m];
      if
      :: S.name != 0 && is_open(mine) && belongs(S.last, m, S.name) -> S.step = COMMIT
      :: else -> go_down(i, m)
      fi
    :: S.step == COMMIT ->
      if
      :: is_open(mine) || !with(COMMIT_OPEN) -> pool[mine].owner = i + 1; S.step = SERVE
      :: else -> go_down(i, m)
      fi
    :: S.step == SERVE && is_owner && lock[m] == 0 -> lock[m] = i + 1 /* the old one has ended */
    :: S.step == SERVE && !is_owner -> go_down(i, m)                  /* another one has taken over */
#endif

    :: S.step != DOWN && !calm -> go_down(i, m) /* dies */
    :: calm && S.step == SERVE && has_ids(mine) -> starter = 0; go_down(i, m)
    fi;
    reply = 0;
    if :: at_once(S.step) -> goto next :: else fi }
  od
}

/* A pool's file that is left behind may be damaged, or as it was some stores ago. It is not looked into. */
inline reboot() {
  n = 0; do :: n < SUPERVISORS -> if :: machine_of(n) == m -> go_down(n, m) :: else fi; n++ :: else -> break od;
  n = 1;
  do
  :: n <= names ->
#if WITHOUT == BOOT
    if
    :: n == current[m] && pool[at(m, n)].tick[1 - newer(at(m, n))] != 0 -> pool[at(m, n)].tick[newer(at(m, n))] = 0
    :: n == current[m]
    :: n != current[m] -> wipe(at(m, n))
    fi;
#else
    wipe(at(m, n));
#endif
    n++
  :: else -> break
  od;
#if WITHOUT != BOOT
  current[m] = 0
#endif
}

/* The memory of machine 0 becomes that of machine 1 too. Orphans of earlier holders are left out: all they can take
 * is forgiven. */
inline copy() {
  forget_seen();
  forgiven = record.mark;
  if :: forgiven < late.to.mark -> forgiven = late.to.mark :: else fi;
  if :: forgiven < sup[0].want -> forgiven = sup[0].want :: else fi;
  line[0] = 1; line[1] = 2;
  sup[1].step = sup[0].step; sup[1].name = sup[0].name; set(sup[1].last, sup[0].last);
  sup[1].want = sup[0].want; sup[1].nonce = sup[0].nonce;
  lock[1] = (lock[0] != 0 -> 2 : 0);
  n = 1; do :: n <= names -> wipe(at(1, n)); n++ :: else -> break od;
  current[1] = current[0]; n = current[0];
  if
  :: n != 0 ->
    pool[at(1, n)].tick[0] = pool[n].tick[0]; pool[at(1, n)].taken[0] = pool[n].taken[0];
    pool[at(1, n)].tick[1] = pool[n].tick[1]; pool[at(1, n)].taken[1] = pool[n].taken[1];
    pool[at(1, n)].mark = pool[n].mark; pool[at(1, n)].owner = (pool[n].owner != 0 -> 2 : 0)
  :: else
  fi
}

init { /* and fate */
  byte m, n;
  atomic {
    record.mark = FIRST; sup[0].step = DOWN; sup[1].step = DOWN;
    run Supervisor(0, 0); run Supervisor(1, 1);
#ifdef REPLACE
    sup[2].step = DOWN; run Supervisor(2, 0)
#endif
  }
end: do
#if !defined(REPLACE) && !defined(COPY)
  :: atomic { !calm -> if :: m = 0 :: m = 1 fi; reboot(); m = 0; n = 0 }
#endif
#ifdef COPY
  :: atomic { !calm && line[0] == 0 -> copy(); n = 0 }
#endif
  :: atomic { !calm && record.mark < LAST -> /* all die: does the node still get ids? */
    calm = 1; forget_seen(); forget_late();
    go_down(0, 0); go_down(1, 1);
#ifdef REPLACE
    go_down(2, 0);
#endif
    if :: starter = 1 :: starter = 2 fi;
    break }
  od;
  starter == 0 /* it does */
}
