/*
 * The flooder of the benchmark: one process that sends a server as many datagrams as it can, and reads no answer. It
 * prints how many datagrams a second it sent. See `floods_table.ts`, which writes the command line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "options.h"
#include "segments.h"
#include "system.h"
#include "wire.h"

enum { MAX_SOCKETS = 1024, MESSAGES = 16, RECEIVE_BUFFER_BYTES = 1 };

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Writes the datagram of a flood of this kind. Returns its length in bytes.
static size_t write_datagram(char **argv, uint8_t *datagram) {
  memset(datagram, 0, SLOT_BYTES);
  if (is_option(argv, "--kind", "basic")) return BASIC_REQUEST_BYTES;
  if (is_option(argv, "--kind", "range")) {
    datagram[0] = RANGE;
    put32(datagram + AT_COUNT, UINT32_MAX);
    return RANGE_BYTES;
  }
  memset(datagram, 0xff, SLOT_BYTES);
  return is_option(argv, "--kind", "garbage1") ? 1 : SLOT_BYTES;
}

static int connect_to(struct sockaddr_in server) {
  int fd = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  set_option(fd, SO_RCVBUF, RECEIVE_BUFFER_BYTES); // so that the kernel soon drops the answers
  check(connect(fd, (struct sockaddr *)&server, sizeof server), "connect");
  return fd;
}

// A datagram with the headers of IP and UDP, for a raw socket: the kernel fills in the length and checksum of IP.
struct forged {
  struct iphdr ip;
  struct udphdr udp;
  uint8_t payload[SLOT_BYTES];
} __attribute__((packed));

// Writes a datagram from a sender that need not be this machine, or have a port. Returns its length in bytes.
static size_t forge(const char *sender, struct sockaddr_in server, const uint8_t *datagram, size_t length,
                    struct forged *forged) {
  char address[INET_ADDRSTRLEN];
  int port;
  struct in_addr from;
  if (sscanf(sender, "%15[0-9.]:%d", address, &port) != 2 || inet_pton(AF_INET, address, &from) != 1) {
    fail("--sender", "is no ADDRESS:PORT");
  }
  *forged = (struct forged){
      .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
      .udp = {.source = htons((uint16_t)port), .dest = server.sin_port},
  };
  forged->ip.saddr = from.s_addr;
  forged->ip.daddr = server.sin_addr.s_addr;
  forged->udp.len = htons((uint16_t)(sizeof forged->udp + length));
  memcpy(forged->payload, datagram, length);
  return sizeof forged->ip + sizeof forged->udp + length;
}

static int connect_raw(struct sockaddr_in server) {
  int fd = check(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), "socket: it takes root to forge a sender");
  check(connect(fd, (struct sockaddr *)&server, sizeof server), "connect");
  return fd;
}

int main(int argc, char **argv) {
  (void)argc;
  check(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
  int sockets = integer_option(argv, "--sockets", 1, MAX_SOCKETS);
  size_t segments = (size_t)integer_option(argv, "--segments", 1, MAX_SEGMENTS);
  double seconds = number_option(argv, "--seconds", 0, 3600);
  struct sockaddr_in server = local_address(integer_option(argv, "--port", 1, 65535));
  if (inet_pton(AF_INET, text_option(argv, "--address"), &server.sin_addr) != 1) fail("--address", "is no IPv4 address");

  uint8_t datagram[SLOT_BYTES];
  static uint8_t contents[MAX_SEGMENTS * SLOT_BYTES];
  static _Alignas(8) uint8_t controls[MESSAGES][CONTROL_BYTES];
  size_t length = write_datagram(argv, datagram);
  static struct forged forged;
  bool is_forged = !is_option(argv, "--sender", "own");
  for (size_t i = 0; i < segments; i++) memcpy(contents + i * length, datagram, length);
  struct iovec part = {.iov_base = contents, .iov_len = segments * length};
  if (is_forged) {
    segments = 1; // a raw socket sends one packet a message
    part.iov_base = &forged;
    part.iov_len = forge(text_option(argv, "--sender"), server, datagram, length, &forged);
  }
  struct mmsghdr messages[MESSAGES] = {0};
  for (int i = 0; i < MESSAGES; i++) {
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    if (!is_forged) send_segments(&messages[i].msg_hdr, controls[i], length);
  }
  int fds[MAX_SOCKETS];
  for (int i = 0; i < sockets; i++) fds[i] = is_forged ? connect_raw(server) : connect_to(server);

  // One socket sends a batch at a time; many take turns, so that no two messages in a row have one sender.
  unsigned batch = sockets > 1 ? 1 : MESSAGES;
  uint64_t sent = 0;
  double begin_s = now_s();
  for (int next = 0; now_s() - begin_s < seconds; next = (next + 1) % sockets) {
    int done = sendmmsg(fds[next], messages, batch, 0);
    if (done > 0) sent += (uint64_t)done * segments;
  }
  printf("%.0f\n", (double)sent / (now_s() - begin_s));
}
