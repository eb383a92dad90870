/*
 * The command line of the load generator.
 */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "check.h"

enum { MAX_PORTS = 256, MAX_SOCKETS = 1024, MAX_IN_FLIGHT = 4096, MAX_SECONDS = 3600 };

struct options {
  const char *host;
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

static const char HELP[] =
    "Usage: load --port N[,N...] [options]\n"
    "  --host ADDRESS          the server's IPv4 or IPv6 address; default 127.0.0.1\n"
    "  --port N[,N...]         its ports; the sockets take them in turn\n"
    "  --sockets N             connected sockets, each with a port of its own, 1 to 1024; default 1\n"
    "  --in-flight N           requests in flight a socket at most, 1 to 4096; default 1\n"
    "  --cpu N                 the CPU to run on; default: any\n"
    "  --seconds N             how long to measure; default 5. It begins with a second of the clock\n"
    "  --warmup S              how long to ask before that at least, in s; default 1\n"
    "  --protocol basic|range  default basic\n"
    "  --count N               ids a range request, 1 to 2^32 - 1; default 1\n"
    "  --send datagrams|segments\n"
    "                          requests that go out together one by one, or as one message; answers likewise; default\n"
    "                          datagrams\n"
    "  --rate N                requests a second in all; default 0: the next one with every answer\n"
    "  --ids FILE              write the ids there, in words of 8 bytes, little endian:\n"
    "                          with basic, each id; with range, first id, step and granted of each answer\n";

static inline void parse_ports(struct options *options, char *list) {
  options->port_count = 0;
  for (char *port = strtok(list, ","); port != NULL; port = strtok(NULL, ",")) {
    if (options->port_count == MAX_PORTS) fail("--port", "has too many ports");
    options->ports[options->port_count++] = integer_option("--port", port, 1, 65535);
  }
}

static inline struct options parse_options(int argc, char **argv) {
  static const struct option flags[] = {
      {"host", required_argument, NULL, 'h'},
      {"port", required_argument, NULL, 'p'},
      {"sockets", required_argument, NULL, 's'},
      {"in-flight", required_argument, NULL, 'f'},
      {"cpu", required_argument, NULL, 'c'},
      {"seconds", required_argument, NULL, 't'},
      {"warmup", required_argument, NULL, 'w'},
      {"protocol", required_argument, NULL, 'x'},
      {"count", required_argument, NULL, 'n'},
      {"send", required_argument, NULL, 'm'},
      {"rate", required_argument, NULL, 'r'},
      {"ids", required_argument, NULL, 'i'},
      {NULL, 0, NULL, 0},
  };
  struct options options = {
      .host = "127.0.0.1", .sockets = 1, .in_flight = 1, .cpu = -1, .seconds = 5, .warmup_s = 1, .count = 1};
  int flag;
  while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
    switch (flag) {
    case 'h':
      options.host = optarg;
      break;
    case 'p':
      parse_ports(&options, optarg);
      break;
    case 's':
      options.sockets = integer_option("--sockets", optarg, 1, MAX_SOCKETS);
      break;
    case 'f':
      options.in_flight = integer_option("--in-flight", optarg, 1, MAX_IN_FLIGHT);
      break;
    case 'c':
      options.cpu = integer_option("--cpu", optarg, 0, 1023);
      break;
    case 't':
      options.seconds = integer_option("--seconds", optarg, 1, MAX_SECONDS);
      break;
    case 'w':
      options.warmup_s = number_option("--warmup", optarg, 0, MAX_SECONDS);
      break;
    case 'x':
      options.range = strcmp(optarg, "range") == 0;
      if (!options.range && strcmp(optarg, "basic") != 0) fail("--protocol", "is neither basic nor range");
      break;
    case 'n':
      options.count = (uint32_t)number_option("--count", optarg, 1, UINT32_MAX);
      break;
    case 'm':
      options.segments = strcmp(optarg, "segments") == 0;
      if (!options.segments && strcmp(optarg, "datagrams") != 0) fail("--send", "is neither datagrams nor segments");
      break;
    case 'r':
      options.rate = number_option("--rate", optarg, 0, 1e9);
      break;
    case 'i':
      options.ids_path = optarg;
      break;
    default:
      fputs(HELP, stderr);
      exit(2);
    }
  }
  if (options.port_count == 0) {
    fputs(HELP, stderr);
    exit(2);
  }
  return options;
}

#endif
