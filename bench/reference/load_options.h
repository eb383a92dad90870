/*
 * The options of the load generator: see `LoadOptions` in run_load.ts.
 */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <stdint.h>

#include "options.h"

enum { MAX_PORTS = 256, MAX_SOCKETS = 1024, MAX_IN_FLIGHT = 4096, MAX_SECONDS = 3600 };

struct options {
  int ports[MAX_PORTS];
  int port_count;
  int sockets;
  int in_flight;
  int cpu; // -1: any
  int seconds;
  double warmup_s;
  bool range;
  bool segments;
  uint32_t count;
  double rate; // requests a second; 0: as many as are answered
  const char *ids_path;
};

static inline struct options parse_options(char **argv) {
  struct options options = {
      .sockets = integer_option(argv, "--sockets", 1, 1, MAX_SOCKETS),
      .in_flight = integer_option(argv, "--in-flight", 1, 1, MAX_IN_FLIGHT),
      .cpu = integer_option(argv, "--cpu", -1, 0, 1023),
      .seconds = integer_option(argv, "--seconds", 5, 1, MAX_SECONDS),
      .warmup_s = number_option(argv, "--warmup", 1, 0, MAX_SECONDS),
      .range = second_option(argv, "--protocol", "basic", "range"),
      .segments = second_option(argv, "--send", "datagrams", "segments"),
      .count = (uint32_t)number_option(argv, "--count", 1, 1, UINT32_MAX),
      .rate = number_option(argv, "--rate", 0, 0, 1e9),
      .ids_path = text_option(argv, "--ids", NULL),
  };
  const char *list = text_option(argv, "--port", "");
  while (*list != '\0') {
    char *end;
    long port = strtol(list, &end, 10);
    if (port < 1 || port > 65535 || options.port_count == MAX_PORTS) fail("--port", "is not a list of ports");
    options.ports[options.port_count++] = (int)port;
    list = *end == ',' ? end + 1 : end;
    if (*end != ',' && *end != '\0') fail("--port", "is not a list of ports");
  }
  if (options.port_count == 0) fail("--port", "is missing");
  return options;
}

#endif
