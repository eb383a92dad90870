/*
 * Addresses of UDP sockets.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <netdb.h>
#include <sys/socket.h>

#include "check.h"

struct address {
  struct sockaddr_storage storage;
  socklen_t length;
};

// Reads an IPv4 or IPv6 address.
static inline struct address parse_address(const char *host, int port) {
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM};
  struct addrinfo *found;
  char service[8];
  snprintf(service, sizeof service, "%d", port);
  int error = getaddrinfo(host, service, &hints, &found);
  if (error != 0) fail(host, gai_strerror(error));
  struct address address = {.length = found->ai_addrlen};
  memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return address;
}

static inline void set_option(int fd, int option, int value) {
  check(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value), "setsockopt");
}

#endif
