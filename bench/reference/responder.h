/*
 * The answers of the reference server to datagrams: lib/wire/responder.ts.
 */
#ifndef RESPONDER_H
#define RESPONDER_H

#include "generator.h"
#include "wire.h"

static inline size_t write_range_error(uint8_t *datagram, enum status status, uint64_t value) {
  datagram[AT_STATUS] = (uint8_t)status;
  datagram[AT_RESERVED] = datagram[AT_RESERVED + 1] = 0;
  put32(datagram + AT_COUNT, 0);
  put64(datagram + AT_FIRST, value);
  put64(datagram + AT_STEP, 0);
  return RANGE_BYTES;
}

static inline size_t respond_range(struct generator *generator, uint8_t *datagram) {
  uint32_t count = get32(datagram + AT_COUNT);
  uint64_t reserved = (get32(datagram) & 0x00ffffff) | get64(datagram + AT_FIRST) | get64(datagram + AT_STEP);
  if (reserved != 0) return 0;
  if (count == 0) return write_range_error(datagram, STATUS_BAD_REQUEST, 0);
  struct grant grant;
  enum status status = take_range(generator, count, &grant);
  if (status != STATUS_OK) return write_range_error(datagram, status, grant.retry_after_ms);
  put32(datagram + AT_COUNT, grant.count);
  put64(datagram + AT_FIRST, grant.first);
  put64(datagram + AT_STEP, step_of(generator));
  return RANGE_BYTES;
}

// Writes the answer over the datagram. Returns its length in bytes; 0: there is to be none.
static inline size_t respond(struct generator *generator, uint8_t *datagram, size_t length) {
  if (length == RANGE_BYTES && datagram[0] == RANGE) return respond_range(generator, datagram);
  if (length != BASIC_REQUEST_BYTES || datagram[0] != BASIC) return 0;
  struct grant grant;
  if (take_range(generator, 1, &grant) == STATUS_OK) {
    put64(datagram + 1, grant.first);
    return BASIC_SUCCESS_BYTES;
  }
  datagram[0] = BASIC_ERROR;
  return BASIC_ERROR_BYTES;
}

#endif
