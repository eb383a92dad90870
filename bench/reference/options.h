/*
 * Command lines of `--name value`. Only start_server.ts and run_load.ts write them: they explain the options, and name
 * all of them.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

#include "system.h"

static inline const char *text_option(char **argv, const char *name) {
  for (; *argv != NULL; argv++) {
    if (strcmp(*argv, name) == 0 && argv[1] != NULL) return argv[1];
  }
  fail(name, "is missing");
}

static inline double number_option(char **argv, const char *name, double min, double max) {
  double value = strtod(text_option(argv, name), NULL);
  if (!(value >= min && value <= max)) fail(name, "is out of range");
  return value;
}

static inline int integer_option(char **argv, const char *name, int min, int max) {
  return (int)number_option(argv, name, min, max);
}

static inline bool is_option(char **argv, const char *name, const char *value) {
  return strcmp(text_option(argv, name), value) == 0;
}

#endif
