/*
 * CPUs, and pinning this process to one.
 */
#ifndef CPU_H
#define CPU_H

#include <sched.h>

#include "check.h"

// One of the CPUs that this process may use: the first for 0, the next for 1, and so on, and the first again.
static inline int allowed_cpu(int nth) {
  cpu_set_t allowed;
  check(sched_getaffinity(0, sizeof allowed, &allowed), "sched_getaffinity");
  nth %= CPU_COUNT(&allowed);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &allowed) || nth-- > 0) cpu++;
  return cpu;
}

static inline void pin_to(int cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  check(sched_setaffinity(0, sizeof only, &only), "sched_setaffinity");
}

#endif
