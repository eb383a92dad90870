/*
 * The counts of the load generator, and how it prints them: see `LoadResult` in run_load.ts.
 */
#ifndef TALLY_H
#define TALLY_H

#include "histogram.h"

enum { MAX_SECONDS = 3600 };

struct second {
  uint64_t ok;
  uint64_t refused;
  uint64_t ids;
};

struct tally {
  uint64_t lost;    // not answered in time
  uint64_t invalid; // answers that the protocol does not allow
  struct second seconds[MAX_SECONDS];
  struct histogram latency;
  struct histogram send_delay; // with a rate: how long after it was due a request was sent
};

static inline void print_tally(const struct tally *tally, int seconds, int64_t first_second, double cpu_s) {
  printf("{\"lost\":%lu,\"invalid\":%lu,", tally->lost, tally->invalid);
  print_percentiles("latencyUs", &tally->latency);
  print_percentiles("sendDelayUs", &tally->send_delay);
  printf("\"cpuUtilization\":%.3f,\"perSecond\":[", cpu_s / seconds);
  for (int i = 0; i < seconds; i++) {
    const struct second *second = &tally->seconds[i];
    printf("%s{\"second\":%ld,\"ok\":%lu,\"refused\":%lu,\"ids\":%lu}", i == 0 ? "" : ",", first_second + i, second->ok,
           second->refused, second->ids);
  }
  printf("]}\n");
}

#endif
