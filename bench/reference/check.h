/*
 * What ends the program with an error: a system call that failed, or an option that is wrong.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static inline double number_option(const char *name, const char *text, double min, double max) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= min && value <= max)) fail(name, "is not a number in its range");
  return value;
}

static inline int integer_option(const char *name, const char *text, int min, int max) {
  double value = number_option(name, text, min, max);
  if (value != (int)value) fail(name, "is not an integer");
  return (int)value;
}

#endif
