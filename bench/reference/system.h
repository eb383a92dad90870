/*
 * System calls that end the program if they fail, addresses of UDP sockets, and pinning this process to a CPU.
 */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static inline _Noreturn void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static inline int check(int result, const char *what) {
  if (result < 0) fail(what, strerror(errno));
  return result;
}

static inline void *check_memory(void *memory) {
  if (memory == NULL) fail("memory", "there is not enough");
  return memory;
}

// A port of 127.0.0.1; 0: the system chooses one when the address is bound.
static inline struct sockaddr_in local_address(int port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET,
      .sin_port = htons((uint16_t)port),
      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
  };
}

static inline void set_option(int fd, int option, int value) {
  check(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value), "setsockopt");
}

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
