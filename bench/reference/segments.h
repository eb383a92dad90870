/*
 * Several datagrams of one length as one message: UDP_SEGMENT and UDP_GRO, see udp(7).
 */
#ifndef SEGMENTS_H
#define SEGMENTS_H

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <sys/socket.h>

#include "system.h"
#include "wire.h"

enum {
  MAX_SEGMENTS = 64, // of a message that is sent, on any Linux
  // Of one that is received: as many datagrams as Linux puts together, of as many bytes as a slot has.
  MESSAGE_BYTES = 128 * SLOT_BYTES,
  CONTROL_BYTES = CMSG_SPACE(sizeof(int)),
};

static inline void receive_segments(int fd) {
  int on = 1;
  check(setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on), "setsockopt UDP_GRO");
}

// The length of each datagram of a message that was received: all of it, if the kernel says nothing about it.
static inline size_t segment_bytes(struct msghdr *message, size_t length) {
  struct cmsghdr *control = CMSG_FIRSTHDR(message);
  if (control == NULL || control->cmsg_type != UDP_GRO) return length;
  int bytes;
  memcpy(&bytes, CMSG_DATA(control), sizeof bytes);
  return (size_t)bytes;
}

// Has a message of one part sent as datagrams of a length, if it is several. `room` has CONTROL_BYTES and is aligned.
static inline void send_segments(struct msghdr *message, void *room, size_t length) {
  message->msg_control = NULL;
  message->msg_controllen = 0;
  if (message->msg_iov->iov_len <= length) return;
  uint16_t bytes = (uint16_t)length;
  message->msg_control = room;
  message->msg_controllen = CMSG_SPACE(sizeof bytes);
  struct cmsghdr *control = CMSG_FIRSTHDR(message);
  control->cmsg_level = SOL_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN(sizeof bytes);
  memcpy(CMSG_DATA(control), &bytes, sizeof bytes);
}

#endif
