/*
 * Keeps the ids that were received in memory, as 64-bit words, and writes them to a file at the end.
 */
#ifndef RECORDER_H
#define RECORDER_H

#include <endian.h>
#include <stdint.h>

#include "system.h"

struct recorder {
  uint64_t *words;
  size_t length;
  size_t capacity;
};

static inline void keep(struct recorder *recorder, uint64_t word) {
  if (recorder->length == recorder->capacity) {
    // The C library grows so large a block by moving its pages, not by copying it.
    recorder->capacity = recorder->capacity == 0 ? 1 << 20 : recorder->capacity * 2;
    recorder->words = check_memory(realloc(recorder->words, recorder->capacity * sizeof *recorder->words));
  }
  recorder->words[recorder->length++] = htole64(word);
}

static inline void write_kept(const struct recorder *recorder, const char *path) {
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(recorder->words, sizeof *recorder->words, recorder->length, file) != recorder->length ||
      fclose(file) != 0) {
    fail(path, strerror(errno));
  }
}

#endif
