/*
 * The fastest UDP id server that a machine can have: the protocol and the generator of this project in C, so that the
 * benchmark can say how near the real server comes. It has no reservations, and so may repeat ids when the clock is set
 * back while it does not run.
 *
 * Prints its port when it serves; ends when its stdin or its parent does, or with SIGTERM.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "options.h"
#include "responder.h"
#include "segments.h"
#include "system.h"

enum { BATCH = 64, MAX_WORKERS = 256, MAX_ANSWERS = BATCH * 128 };

// See `ReferenceServerOptions` in start_server.ts.
struct options {
  int workers;
  bool incoming_cpu;
  const char *calls;
  int sequence_bits;
};

static int bind_socket(const struct options *options, int port, int cpu) {
  struct sockaddr_in address = local_address(port);
  int fd = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  set_option(fd, SO_REUSEPORT, 1);
  // The kernel chooses a worker by the options that were set before bind.
  if (options->incoming_cpu) set_option(fd, SO_INCOMING_CPU, cpu);
  check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
  return fd;
}

static int port_of(int fd) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  check(getsockname(fd, (struct sockaddr *)&address, &length), "getsockname");
  return ntohs(address.sin_port);
}

static _Noreturn void serve_plain(int fd, struct generator *generator) {
  uint8_t datagram[SLOT_BYTES];
  struct sockaddr_storage sender;
  while (true) {
    socklen_t sender_length = sizeof sender;
    ssize_t length = recvfrom(fd, datagram, sizeof datagram, 0, (struct sockaddr *)&sender, &sender_length);
    if (length < 0) continue;
    size_t answer = respond(generator, datagram, (size_t)length);
    if (answer > 0) sendto(fd, datagram, answer, 0, (struct sockaddr *)&sender, sender_length);
  }
}

// One that cannot be sent is left out, as if it got lost.
static void send_all(int fd, struct mmsghdr *messages, int count) {
  for (int begin = 0; begin < count;) {
    int sent = sendmmsg(fd, messages + begin, (unsigned)(count - begin), 0);
    begin += sent > 0 ? sent : 1;
  }
}

static _Noreturn void serve_batches(int fd, struct generator *generator) {
  static uint8_t slots[BATCH][SLOT_BYTES];
  static struct sockaddr_storage senders[BATCH];
  static struct iovec received_parts[BATCH], answer_parts[BATCH];
  static struct mmsghdr received[BATCH], answers[BATCH];
  for (int i = 0; i < BATCH; i++) {
    received_parts[i] = (struct iovec){.iov_base = slots[i], .iov_len = SLOT_BYTES};
    received[i].msg_hdr = (struct msghdr){.msg_name = &senders[i], .msg_iov = &received_parts[i], .msg_iovlen = 1};
    answers[i].msg_hdr = (struct msghdr){.msg_iov = &answer_parts[i], .msg_iovlen = 1};
  }
  while (true) {
    for (int i = 0; i < BATCH; i++) received[i].msg_hdr.msg_namelen = sizeof senders[i];
    int count = recvmmsg(fd, received, BATCH, MSG_WAITFORONE, NULL);
    int answered = 0;
    for (int i = 0; i < count; i++) {
      size_t length = respond(generator, slots[i], received[i].msg_len);
      if (length == 0) continue;
      answer_parts[answered] = (struct iovec){.iov_base = slots[i], .iov_len = length};
      answers[answered].msg_hdr.msg_name = &senders[i];
      answers[answered].msg_hdr.msg_namelen = received[i].msg_hdr.msg_namelen;
      answered++;
    }
    send_all(fd, answers, answered);
  }
}

// Whether an answer can be one more datagram of a message: to the same receiver, and of the same length.
static bool fits(const struct msghdr *message, size_t each, const struct msghdr *request, size_t length) {
  return each == length && message->msg_iov->iov_len < MAX_SEGMENTS * each &&
         message->msg_namelen == request->msg_namelen &&
         memcmp(message->msg_name, request->msg_name, request->msg_namelen) == 0;
}

static _Noreturn void serve_segments(int fd, struct generator *generator) {
  static uint8_t buffers[BATCH][MESSAGE_BYTES + 64]; // 64: see receive_batch.ts
  static uint8_t contents[MAX_ANSWERS * SLOT_BYTES];  // the answers, one behind the other: a message is one part of it
  static struct sockaddr_storage senders[BATCH];
  static struct iovec received_parts[BATCH], answer_parts[MAX_ANSWERS];
  static struct mmsghdr received[BATCH], answers[MAX_ANSWERS];
  static size_t answer_lengths[MAX_ANSWERS]; // of each answer of a message
  static _Alignas(8) uint8_t received_controls[BATCH][CONTROL_BYTES], answer_controls[MAX_ANSWERS][CONTROL_BYTES];
  receive_segments(fd);
  for (int i = 0; i < BATCH; i++) {
    received_parts[i] = (struct iovec){.iov_base = buffers[i], .iov_len = MESSAGE_BYTES};
    received[i].msg_hdr = (struct msghdr){.msg_name = &senders[i],
                                          .msg_iov = &received_parts[i],
                                          .msg_iovlen = 1,
                                          .msg_control = received_controls[i]};
  }
  while (true) {
    for (int i = 0; i < BATCH; i++) {
      received[i].msg_hdr.msg_namelen = sizeof senders[i];
      received[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    }
    int count = recvmmsg(fd, received, BATCH, MSG_WAITFORONE, NULL);
    int messages = 0;
    uint8_t *end = contents;
    for (int i = 0; i < count; i++) {
      struct msghdr *request = &received[i].msg_hdr;
      size_t total = received[i].msg_len;
      size_t each = segment_bytes(request, total);
      size_t begin = 0;
      do {
        size_t left = total - begin < each ? total - begin : each;
        memcpy(end, buffers[i] + begin, left < SLOT_BYTES ? left : SLOT_BYTES);
        begin += each;
        size_t length = respond(generator, end, left);
        if (length == 0) continue;
        if (messages > 0 && fits(&answers[messages - 1].msg_hdr, answer_lengths[messages - 1], request, length)) {
          answer_parts[messages - 1].iov_len += length;
        } else {
          answer_lengths[messages] = length;
          answer_parts[messages] = (struct iovec){.iov_base = end, .iov_len = length};
          answers[messages].msg_hdr = (struct msghdr){.msg_name = request->msg_name,
                                                      .msg_namelen = request->msg_namelen,
                                                      .msg_iov = &answer_parts[messages],
                                                      .msg_iovlen = 1};
          messages++;
        }
        end += length;
      } while (begin < total);
    }
    for (int i = 0; i < messages; i++) send_segments(&answers[i].msg_hdr, answer_controls[i], answer_lengths[i]);
    send_all(fd, answers, messages);
  }
}

static _Noreturn void work(const struct options *options, int fd, int worker, int cpu, pid_t supervisor) {
  check(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
  if (getppid() != supervisor) exit(1);
  pin_to(cpu);
  struct generator generator = make_generator(options->sequence_bits, 0, (uint32_t)worker,
                                              (uint32_t)options->workers);
  if (strcmp(options->calls, "segments") == 0) serve_segments(fd, &generator);
  if (strcmp(options->calls, "batch") == 0) serve_batches(fd, &generator);
  serve_plain(fd, &generator);
}

static void on_worker_end(int signal) {
  (void)signal;
  _exit(1); // takes the other workers along
}

int main(int argc, char **argv) {
  (void)argc;
  struct options options = {
      .workers = integer_option(argv, "--workers", 1, MAX_WORKERS),
      .incoming_cpu = is_option(argv, "--incomingCpu", "true"),
      .calls = text_option(argv, "--calls"),
      .sequence_bits = integer_option(argv, "--sequenceBits", 0, MAX_SEQUENCE_BITS),
  };
  check(prctl(PR_SET_PDEATHSIG, SIGTERM), "prctl");
  signal(SIGCHLD, on_worker_end);

  // All sockets are bound here, so that a port that the system chose is known, and is served by all when it is printed.
  int sockets[MAX_WORKERS], cpus[MAX_WORKERS];
  int port = 0;
  for (int i = 0; i < options.workers; i++) {
    cpus[i] = allowed_cpu(i);
    sockets[i] = bind_socket(&options, port, cpus[i]);
    port = port_of(sockets[i]);
  }
  pid_t supervisor = getpid();
  for (int i = 0; i < options.workers; i++) {
    if (check(fork(), "fork") > 0) continue;
    for (int other = 0; other < options.workers; other++) {
      if (other != i) close(sockets[other]);
    }
    work(&options, sockets[i], i, cpus[i], supervisor);
  }
  for (int i = 0; i < options.workers; i++) close(sockets[i]);

  printf("udp port %d\n", port);
  fflush(stdout);
  char ignored[64];
  while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) continue;
  _exit(0);
}
