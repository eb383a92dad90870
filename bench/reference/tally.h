/*
 * The counts of the load generator, and how it prints them.
 */
#ifndef TALLY_H
#define TALLY_H

#include "histogram.h"
#include "load_options.h"
#include "wire.h"

struct second {
  uint64_t ok;
  uint64_t refused;
  uint64_t ids;
};

struct tally {
  uint64_t sent;
  uint64_t replies; // to requests that were waited for
  uint64_t ok;
  uint64_t ids;
  uint64_t refused;
  uint64_t refused_by[STATUS_COUNT]; // only the range protocol says why
  uint64_t lost;                     // not answered in time
  uint64_t late;                     // answers to no request that is waited for
  uint64_t invalid;                  // answers that the protocol does not allow
  struct second seconds[MAX_SECONDS];
  struct histogram latency;
  struct histogram send_delay; // with a rate: how long after it was due a request was sent
};

static inline void print_tally(const struct options *options, const struct tally *tally, int64_t first_second,
                               double cpu_s) {
  printf("{\"protocol\":\"%s\",\"sockets\":%d,\"inFlight\":%d,\"count\":%u,\"rate\":%.0f,\"seconds\":%d,",
         options->range ? "range" : "basic", options->sockets, options->in_flight, options->count, options->rate,
         options->seconds);
  printf("\"sent\":%lu,\"replies\":%lu,\"ok\":%lu,\"ids\":%lu,\"refused\":%lu,\"refusedByStatus\":{", tally->sent,
         tally->replies, tally->ok, tally->ids, tally->refused);
  const char *comma = "";
  for (int status = 0; status < STATUS_COUNT; status++) {
    if (tally->refused_by[status] == 0) continue;
    printf("%s\"%d\":%lu", comma, status, tally->refused_by[status]);
    comma = ",";
  }
  printf("},\"lost\":%lu,\"late\":%lu,\"invalid\":%lu,", tally->lost, tally->late, tally->invalid);
  print_percentiles("latencyUs", &tally->latency);
  print_percentiles("sendDelayUs", &tally->send_delay);
  printf("\"cpuSeconds\":%.3f,\"cpuUtilization\":%.3f,\"perSecond\":[", cpu_s, cpu_s / options->seconds);
  for (int i = 0; i < options->seconds; i++) {
    const struct second *second = &tally->seconds[i];
    printf("%s{\"second\":%ld,\"ok\":%lu,\"refused\":%lu,\"ids\":%lu}", i == 0 ? "" : ",", first_second + i, second->ok,
           second->refused, second->ids);
  }
  printf("]}\n");
}

#endif
