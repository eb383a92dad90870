/*
 * The load generator of the benchmark: one process that asks a server for ids from many sockets, and prints as one JSON
 * object the answers that it got (see LoadResult in run_load.ts).
 *
 * Without a rate the loop is closed: every answer is followed by the next request, and so many are always in flight.
 * With a rate the loop is open: requests are due at even distances whatever the server does, and the latency counts
 * from when a request was due, so that a server that stalls cannot hide it. Until a request is due, the generator looks
 * for answers again and again and lets others go first (sched_yield). It does not sleep until a timer wakes it up: on a
 * virtual machine a timer takes longer than a request, 40 us each, and would be measured instead of the server.
 *
 * Answers of the basic protocol do not say to which request they belong, and count for the oldest request of their
 * socket. When the oldest request counts as lost, so do the socket's others, and the socket gets a new port, where no
 * late answer can be mistaken. But while answers to others keep coming, a loss is not seen: the times of a socket with
 * several requests in flight are then too long. The range protocol has no such doubts.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "recorder.h"
#include "segments.h"
#include "system.h"
#include "tally.h"
#include "wire.h"

enum { BATCH = 64, MAX_SOCKETS = 1024, MAX_IN_FLIGHT = 4096, RECEIVE_BUFFER_BYTES = 1 << 22 };

#define SECOND_NS INT64_C(1000000000)
// How often to look for such requests; also how long the closed loop waits for anything at most.
#define LOOK_NS INT64_C(20000000)

// See `LoadOptions` in run_load.ts.
struct options {
  int port;
  int sockets;
  int in_flight;
  int cpu;
  int seconds;
  double warmup_s;
  bool range;
  bool segments;
  uint32_t count;
  double rate;
  int64_t lost_ns;
  const char *ids_path;
};

struct request {
  bool is_waiting;
  uint64_t tag;
  int64_t due_ns; // when the latency begins
  int64_t sent_ns;
};

struct client {
  int fd;
  int waiting;              // how many requests are
  struct request *requests; // basic: a ring, the oldest first; range: in any order, the tag says which
  int oldest;               // basic: where the ring begins
  int *free;                // range: a stack of those that are not waiting
};

static struct options options;
static struct client *clients;
static int waiting; // in all clients
static uint64_t last_tag;
static int epoll_fd;
static struct recorder recorder;

// Only whole seconds of the clock are measured; the time before and after them has another tally.
static struct tally measured, unmeasured;
static struct tally *tally = &unmeasured;
static int64_t begin_ns, end_ns; // of the measured seconds
static int64_t first_second;     // of the Unix clock
static double cpu_s;             // before the measurement: the time used until it began, negative

static uint8_t incoming[BATCH][MESSAGE_BYTES + 64]; // 64: see receive_batch.ts
static _Alignas(8) uint8_t incoming_controls[BATCH][CONTROL_BYTES], outgoing_control[CONTROL_BYTES];
static uint8_t outgoing[BATCH * RANGE_BYTES]; // one behind the other
static size_t request_bytes;
static struct mmsghdr received[BATCH], sent[BATCH];

static int64_t clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static double used_cpu_s(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void set_up_batches(void) {
  static struct iovec incoming_parts[BATCH], outgoing_parts[BATCH];
  request_bytes = options.range ? RANGE_BYTES : BASIC_REQUEST_BYTES;
  for (int i = 0; i < BATCH; i++) {
    uint8_t *request = outgoing + (size_t)i * request_bytes;
    request[0] = options.range ? RANGE : BASIC;
    if (options.range) put32(request + AT_COUNT, options.count);
    incoming_parts[i] = (struct iovec){.iov_base = incoming[i], .iov_len = MESSAGE_BYTES};
    outgoing_parts[i] = (struct iovec){.iov_base = request, .iov_len = request_bytes};
    received[i].msg_hdr = (struct msghdr){.msg_iov = &incoming_parts[i], .msg_iovlen = 1};
    if (options.segments) received[i].msg_hdr.msg_control = incoming_controls[i];
    sent[i].msg_hdr = (struct msghdr){.msg_iov = &outgoing_parts[i], .msg_iovlen = 1};
  }
}

static void connect_client(struct client *client) {
  struct sockaddr_in server = local_address(options.port);
  client->fd = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  set_option(client->fd, SO_RCVBUF, RECEIVE_BUFFER_BYTES); // the kernel limits it to what it allows
  struct timeval timeout = {.tv_usec = LOOK_NS / 1000};
  check(setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), "setsockopt");
  if (options.segments) receive_segments(client->fd);
  check(connect(client->fd, (struct sockaddr *)&server, sizeof server), "connect");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
  check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event), "epoll_ctl");
}

static void set_up_client(struct client *client) {
  client->requests = check_memory(calloc((size_t)options.in_flight, sizeof *client->requests));
  client->free = check_memory(calloc((size_t)options.in_flight, sizeof *client->free));
  for (int i = 0; i < options.in_flight; i++) client->free[i] = i;
  connect_client(client);
}

// Puts the next request of a client into a slot of `outgoing`. There must be one that is not waiting.
static void write_request(struct client *client, int slot, int64_t due_ns, int64_t now) {
  int index = options.range ? client->free[options.in_flight - 1 - client->waiting]
                            : (client->oldest + client->waiting) % options.in_flight;
  struct request *request = &client->requests[index];
  *request = (struct request){.is_waiting = true, .due_ns = due_ns, .sent_ns = now};
  if (options.range) {
    request->tag = ++last_tag * MAX_IN_FLIGHT + (uint64_t)index;
    put64(outgoing + (size_t)slot * request_bytes + AT_TAG, request->tag);
  }
  client->waiting++;
  waiting++;
}

static void end_request(struct client *client, struct request *request) {
  request->is_waiting = false;
  client->waiting--;
  waiting--;
  if (options.range) {
    client->free[options.in_flight - 1 - client->waiting] = (int)(request - client->requests);
  } else {
    client->oldest = (client->oldest + 1) % options.in_flight;
  }
}

// One that cannot be sent is left out: it will count as lost.
static void send_slots(const struct client *client, int count) {
  if (count == 1) {
    send(client->fd, outgoing, request_bytes, 0);
    return;
  }
  if (options.segments) {
    struct iovec part = {.iov_base = outgoing, .iov_len = (size_t)count * request_bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    send_segments(&message, outgoing_control, request_bytes);
    sendmsg(client->fd, &message, 0);
    return;
  }
  for (int begin = 0; begin < count;) {
    int done = sendmmsg(client->fd, sent + begin, (unsigned)(count - begin), 0);
    begin += done > 0 ? done : 1;
  }
}

// The closed loop: sends as many requests as there is room for.
static void fill(struct client *client, int64_t now) {
  while (client->waiting < options.in_flight) {
    int count = 0;
    while (count < BATCH && client->waiting < options.in_flight) write_request(client, count++, now, now);
    send_slots(client, count);
  }
}

// The open loop: sends the requests that are due, from one client after the other, as far as there is room.
static void send_due(int64_t now) {
  static int64_t base_ns;
  static int64_t requests;
  static int next;
  if (base_ns == 0) base_ns = now;
  while (waiting < options.sockets * options.in_flight) {
    int64_t due_ns = base_ns + (int64_t)((double)requests * 1e9 / options.rate);
    if (due_ns > now) return;
    while (clients[next].waiting == options.in_flight) next = (next + 1) % options.sockets;
    write_request(&clients[next], 0, due_ns, now);
    send_slots(&clients[next], 1);
    record(&tally->send_delay, now - due_ns);
    requests++;
    next = (next + 1) % options.sockets;
  }
}

static struct second *second_of(int64_t now) {
  static struct second unmeasured_second;
  return tally == &measured ? &measured.seconds[(now - begin_ns) / SECOND_NS] : &unmeasured_second;
}

// The request that an answer belongs to; NULL if none is waiting for it.
static struct request *request_of(const struct client *client, const uint8_t *reply) {
  uint64_t tag = get64(reply + AT_TAG);
  int index = options.range ? (int)(tag % MAX_IN_FLIGHT) : client->oldest;
  if (index >= options.in_flight) return NULL;
  struct request *request = &client->requests[index];
  return request->is_waiting && (!options.range || request->tag == tag) ? request : NULL;
}

static bool is_valid(const uint8_t *reply, size_t length) {
  if (!options.range) {
    return (length == BASIC_SUCCESS_BYTES && reply[0] == BASIC) ||
           (length == BASIC_ERROR_BYTES && reply[0] == BASIC_ERROR);
  }
  if (length != RANGE_BYTES || reply[0] != RANGE || reply[AT_STATUS] >= STATUS_COUNT) return false;
  uint32_t granted = get32(reply + AT_COUNT);
  return reply[AT_STATUS] == STATUS_OK ? granted >= 1 && granted <= options.count : granted == 0;
}

static void take_reply(struct client *client, const uint8_t *reply, size_t length, int64_t now) {
  if (!is_valid(reply, length)) {
    tally->invalid++;
    return;
  }
  // What belongs to no request any more is not counted as received, but its ids were given out, so they are kept.
  struct request *request = request_of(client, reply);
  bool is_ok = options.range ? reply[AT_STATUS] == STATUS_OK : reply[0] == BASIC;
  uint64_t ids = options.range ? get32(reply + AT_COUNT) : 1;
  if (is_ok) {
    keep(&recorder, get64(reply + (options.range ? AT_FIRST : 1)));
    if (options.range) {
      keep(&recorder, get64(reply + AT_STEP));
      keep(&recorder, ids);
    }
  }
  if (request == NULL) return;
  record(&tally->latency, now - request->due_ns);
  end_request(client, request);
  struct second *second = second_of(now);
  if (is_ok) {
    second->ok++;
    second->ids += ids;
  } else {
    second->refused++;
  }
}

// Takes the answers that a message is.
static void take_message(struct client *client, const uint8_t *bytes, struct mmsghdr *message, int64_t now) {
  size_t total = message->msg_len;
  size_t each = options.segments ? segment_bytes(&message->msg_hdr, total) : total;
  size_t begin = 0;
  do {
    take_reply(client, bytes + begin, total - begin < each ? total - begin : each, now);
    begin += each;
  } while (begin < total);
}

// Changes the tally where the measurement begins and ends. Returns the time.
static int64_t look_at_clock(void) {
  int64_t now = now_ns();
  if (tally == &unmeasured && now >= begin_ns && now < end_ns) {
    tally = &measured;
    cpu_s = -used_cpu_s();
  } else if (tally == &measured && now >= end_ns) {
    tally = &unmeasured;
    cpu_s += used_cpu_s();
  }
  return now;
}

// Takes the answers that a client has. Returns the time when they were here.
static int64_t receive(struct client *client, int flags) {
  int count;
  if (options.in_flight == 1) {
    ssize_t length = recv(client->fd, incoming[0], SLOT_BYTES, flags);
    received[0].msg_len = (unsigned)length;
    received[0].msg_hdr.msg_controllen = 0;
    count = length < 0 ? 0 : 1;
  } else {
    if (options.segments) {
      for (int i = 0; i < BATCH; i++) received[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    }
    count = recvmmsg(client->fd, received, BATCH, flags, NULL);
  }
  int64_t now = look_at_clock();
  for (int i = 0; i < count; i++) take_message(client, incoming[i], &received[i], now);
  return now;
}

static void give_up(struct client *client, struct request *request) {
  end_request(client, request);
  tally->lost++;
}

static void give_up_lost(struct client *client, int64_t now) {
  if (options.range) {
    for (int i = 0; i < options.in_flight; i++) {
      struct request *request = &client->requests[i];
      if (request->is_waiting && now - request->sent_ns >= options.lost_ns) give_up(client, request);
    }
  } else if (client->waiting > 0 && now - client->requests[client->oldest].sent_ns >= options.lost_ns) {
    while (client->waiting > 0) give_up(client, &client->requests[client->oldest]);
    close(client->fd);
    connect_client(client);
  }
}

// Takes the answers. If there are none, the closed loop waits for them, and the open loop lets others go first.
static int64_t take_replies(void) {
  struct epoll_event events[MAX_SOCKETS];
  int64_t now = 0;
  bool is_open = options.rate > 0;
  int count = epoll_wait(epoll_fd, events, MAX_SOCKETS, is_open ? 0 : (int)(LOOK_NS / 1000000));
  if (count == 0 && is_open) sched_yield();
  for (int i = 0; i < count; i++) {
    struct client *client = events[i].data.ptr;
    now = receive(client, MSG_DONTWAIT);
    if (options.rate == 0) fill(client, now);
  }
  return count > 0 ? now : look_at_clock();
}

static void run(void) {
  bool is_single = options.sockets == 1 && options.rate == 0;
  int64_t now = now_ns();
  int64_t look_ns = now;
  while (now < end_ns) {
    if (now >= look_ns) {
      for (int i = 0; i < options.sockets; i++) {
        give_up_lost(&clients[i], now);
        if (options.rate == 0) fill(&clients[i], now);
      }
      look_ns = now + LOOK_NS;
    }
    if (is_single) {
      now = receive(&clients[0], options.in_flight == 1 ? 0 : MSG_WAITFORONE);
      fill(&clients[0], now);
    } else {
      if (options.rate > 0) send_due(now);
      now = take_replies();
    }
  }
}

// Takes the answers to the requests that are still waiting, so that their ids are kept. What does not come is lost.
static void drain(void) {
  int64_t now = now_ns();
  for (int64_t until_ns = now + options.lost_ns; waiting > 0 && now < until_ns; now = now_ns()) {
    for (int i = 0; i < options.sockets; i++) receive(&clients[i], MSG_DONTWAIT);
  }
  measured.lost += (uint64_t)waiting;
}

int main(int argc, char **argv) {
  (void)argc;
  options = (struct options){
      .port = integer_option(argv, "--port", 1, 65535),
      .sockets = integer_option(argv, "--sockets", 1, MAX_SOCKETS),
      .in_flight = integer_option(argv, "--inFlight", 1, MAX_IN_FLIGHT),
      .cpu = integer_option(argv, "--cpu", -1, 1023),
      .seconds = integer_option(argv, "--seconds", 1, MAX_SECONDS),
      .warmup_s = number_option(argv, "--warmup", 0, MAX_SECONDS),
      .range = is_option(argv, "--protocol", "range"),
      .segments = is_option(argv, "--send", "segments"),
      .count = (uint32_t)number_option(argv, "--count", 1, UINT32_MAX),
      .rate = number_option(argv, "--rate", 0, 1e9),
      .lost_ns = (int64_t)(number_option(argv, "--lostAfter", 1, 60000) * 1e6),
      .ids_path = text_option(argv, "--ids"),
  };
  if (options.cpu >= 0) pin_to(options.cpu);
  check(prctl(PR_SET_PDEATHSIG, SIGTERM), "prctl");
  set_up_batches();

  epoll_fd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  clients = check_memory(calloc((size_t)options.sockets, sizeof *clients));
  for (int i = 0; i < options.sockets; i++) set_up_client(&clients[i]);
  int64_t unix_ns = clock_ns(CLOCK_REALTIME);
  first_second = (unix_ns + (int64_t)(options.warmup_s * 1e9) + SECOND_NS - 1) / SECOND_NS;
  begin_ns = now_ns() + first_second * SECOND_NS - unix_ns;
  end_ns = begin_ns + options.seconds * SECOND_NS;

  run();
  drain();
  print_tally(&measured, options.seconds, first_second, cpu_s);
  write_kept(&recorder, options.ids_path);
}
