/*
 * A log-linear histogram of times in ns, as HdrHistogram's: every power of two in 64 equal parts, so exact to 1.6 %.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { PART_BITS = 6, PARTS = 1 << PART_BITS };

struct histogram {
  uint64_t total;
  int64_t max;
  uint64_t counts[(64 - PART_BITS + 1) * PARTS];
};

static inline void record(struct histogram *histogram, int64_t ns) {
  if (ns < 0) ns = 0;
  if (ns > histogram->max) histogram->max = ns;
  // Values below 2 * PARTS have a bucket each; above, only the upper bits choose.
  int shift = ns < 2 * PARTS ? 0 : 63 - PART_BITS - __builtin_clzll((unsigned long long)ns);
  histogram->counts[shift * PARTS + (ns >> shift)]++;
  histogram->total++;
}

// The time in us that a share of all, 0 to 1, does not exceed: the highest of its bucket.
static inline double percentile_us(const struct histogram *histogram, double share) {
  uint64_t rank = (uint64_t)(share * (double)histogram->total);
  uint64_t seen = 0;
  for (int64_t i = 0; i < (int64_t)(sizeof histogram->counts / sizeof histogram->counts[0]); i++) {
    seen += histogram->counts[i];
    if (seen <= rank) continue;
    int64_t shift = i < 2 * PARTS ? 0 : i / PARTS - 1;
    int64_t highest = ((i - shift * PARTS + 1) << shift) - 1;
    return (double)(highest < histogram->max ? highest : histogram->max) / 1000;
  }
  return (double)histogram->max / 1000;
}

// Prints the percentiles in us as a JSON object; null if nothing was recorded.
static inline void print_percentiles(const char *name, const struct histogram *histogram) {
  if (histogram->total == 0) {
    printf("\"%s\":null,", name);
    return;
  }
  printf("\"%s\":{\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f},", name, percentile_us(histogram, 0.5),
         percentile_us(histogram, 0.99), percentile_us(histogram, 0.999));
}

#endif
