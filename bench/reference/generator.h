/*
 * The id generator of the reference server: lib/id/id_sequencer.ts without a reservation, with ticks of 1 s since 2020.
 *
 *     | time 54 - sequenceBits bits | sequence | node id 10 bits |
 */
#ifndef GENERATOR_H
#define GENERATOR_H

#include <stdint.h>
#include <time.h>

#include "wire.h"

#define EPOCH_2020_S INT64_C(1577836800)

enum { NODE_BITS = 10, MAX_SEQUENCE_BITS = 24 }; // time: until 2054 at least

struct generator {
  int sequence_bits;
  uint64_t node_id;
  uint32_t subnode_id;
  uint32_t subnode_count;
  int64_t tick;      // the last one used, or the one that it was made in, which counts as used up
  uint64_t sequence; // the next one of that tick
};

struct grant {
  uint32_t count;
  uint64_t first;
  uint64_t retry_after_ms; // if there are none; 0 if a retry makes no sense
};

static inline int64_t clock_tick(int64_t *ms_of_tick) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *ms_of_tick = now.tv_nsec / 1000000;
  return now.tv_sec - EPOCH_2020_S;
}

static inline struct generator make_generator(int sequence_bits, uint32_t node_id, uint32_t subnode_id,
                                              uint32_t subnode_count) {
  int64_t ms;
  return (struct generator){
      .sequence_bits = sequence_bits,
      .node_id = node_id,
      .subnode_id = subnode_id,
      .subnode_count = subnode_count,
      .tick = clock_tick(&ms),
      .sequence = UINT64_C(1) << sequence_bits,
  };
}

// The distance from one id to the next of the same tick.
static inline uint64_t step_of(const struct generator *generator) {
  return (uint64_t)generator->subnode_count << NODE_BITS;
}

// Takes up to `count` ids (at least 1) of the clock's tick. Changes nothing if there are none.
static inline enum status take_range(struct generator *generator, uint32_t count, struct grant *grant) {
  int64_t ms;
  int64_t tick = clock_tick(&ms);
  uint64_t end = UINT64_C(1) << generator->sequence_bits;

  if (tick < 0 || tick < generator->tick) {
    int64_t first_usable = generator->tick > 0 ? generator->tick : 0;
    grant->retry_after_ms = (uint64_t)((first_usable - tick) * 1000 - ms);
    return STATUS_CLOCK_BEHIND;
  }
  if (tick >> (64 - NODE_BITS - generator->sequence_bits) != 0) {
    grant->retry_after_ms = 0;
    return STATUS_OUT_OF_TIME;
  }
  if (tick > generator->tick) {
    generator->tick = tick;
    generator->sequence = generator->subnode_id;
  }
  uint64_t sequence = generator->sequence;
  if (sequence >= end) {
    grant->retry_after_ms = (uint64_t)(1000 - ms);
    return STATUS_OUT_OF_IDS;
  }
  if (count > 1) {
    uint64_t left = (end - sequence + generator->subnode_count - 1) / generator->subnode_count;
    if (count > left) count = (uint32_t)left;
  }
  generator->sequence = sequence + (uint64_t)count * generator->subnode_count;
  grant->count = count;
  grant->first = ((((uint64_t)tick << generator->sequence_bits) | sequence) << NODE_BITS) | generator->node_id;
  return STATUS_OK;
}

#endif
