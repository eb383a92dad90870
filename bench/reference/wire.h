/*
 * The numbers of the wire protocol (see lib/wire/protocol.ts), and big-endian integers in datagrams.
 */
#ifndef WIRE_H
#define WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum {
  BASIC = 0x00,
  BASIC_ERROR = 0x01,
  RANGE = 0x02,

  BASIC_REQUEST_BYTES = 1,
  BASIC_SUCCESS_BYTES = 9,
  BASIC_ERROR_BYTES = 1,
  RANGE_BYTES = 32,

  // Room for a datagram and its answer; a datagram that fills it is no request.
  SLOT_BYTES = 64,
};

// The status byte of a range response.
enum status {
  STATUS_OK = 0,
  STATUS_OUT_OF_IDS = 1,
  STATUS_CLOCK_BEHIND = 2,
  STATUS_OUT_OF_TIME = 3,
  STATUS_BAD_REQUEST = 4,
  STATUS_NOT_SERVING = 5,
  STATUS_COUNT = 8, // one more than any that is counted
};

// Where the fields of a range request and its response begin.
enum { AT_STATUS = 1, AT_RESERVED = 2, AT_COUNT = 4, AT_TAG = 8, AT_FIRST = 16, AT_STEP = 24 };

static inline uint32_t get32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return be32toh(value);
}

static inline uint64_t get64(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return be64toh(value);
}

static inline void put32(uint8_t *at, uint32_t value) {
  value = htobe32(value);
  memcpy(at, &value, sizeof value);
}

static inline void put64(uint8_t *at, uint64_t value) {
  value = htobe64(value);
  memcpy(at, &value, sizeof value);
}

#endif
