/*
 * Command lines of `--name value`. Only start_server.ts and run_load.ts write them, and explain the options.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

#include "system.h"

// The value of an option; `otherwise` if it is not there.
static inline const char *text_option(char **argv, const char *name, const char *otherwise) {
  for (; *argv != NULL; argv++) {
    if (strcmp(*argv, name) == 0 && argv[1] != NULL) return argv[1];
  }
  return otherwise;
}

static inline double number_option(char **argv, const char *name, double otherwise, double min, double max) {
  const char *text = text_option(argv, name, NULL);
  if (text == NULL) return otherwise;
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= min && value <= max)) fail(name, "is not a number in its range");
  return value;
}

static inline int integer_option(char **argv, const char *name, int otherwise, int min, int max) {
  double value = number_option(argv, name, otherwise, min, max);
  if (value != (int)value) fail(name, "is not an integer");
  return (int)value;
}

// Which of two words the value is: whether it is the second; the first is the default.
static inline bool second_option(char **argv, const char *name, const char *first, const char *second) {
  const char *text = text_option(argv, name, first);
  if (strcmp(text, first) != 0 && strcmp(text, second) != 0) fail(name, "is none of its words");
  return strcmp(text, second) == 0;
}

#endif
