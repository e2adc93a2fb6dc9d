/* One program and its streams: what is held for it, what it may still send, and what the host has still to be told.
 *
 * What happens is noted in the channel at once and told when the outbox has room, in one order: SPAWNED (or ERR), then
 * CREDIT, DATA and EOF, then EXIT, and CLOSE as the last frame of a channel, always. */
#ifndef MOORAGE_CHANNEL_H
#define MOORAGE_CHANNEL_H

#include <poll.h>

#include "frames.h"
#include "spawn.h"

enum {
    WINDOW_BYTES = 1024 * 1024,
    TELL_BYTES_MAX = 128,    /* more than all that channel_tell can put at once */
    RESERVED_BYTES = 4 * 1024, /* of the outbox: kept free of DATA */
    WATCHED_MAX = 4,
};

struct output {
    int fd;
    uint32_t credit;
    bool told; /* EOF has been sent */
};

struct channel {
    uint32_t id; /* 0: free */
    pid_t pid;
    int news, slave, in;
    bool pty, given;             /* given: the host has the master, and the streams are its own */
    bool running, spawned_told;  /* executed, and said so */
    bool exited, exit_told;
    bool in_ended, in_told;      /* the host has sent EOF; the host knows that nobody reads */
    bool closing;                /* the host has sent CLOSE */
    int status;
    uint64_t signals;            /* came before the program ran */
    struct failure failure;
    uint32_t in_credit, owed;    /* what the host may still send; what it gets back */
    uint8_t *held;
    size_t held_start, held_end;
    struct output out[2];
};

void channel_open(struct channel *channel, uint32_t id, uint32_t window, bool given);
void channel_started(struct channel *channel, const struct started *started, bool pty);

/* What the host asks. False: it breaks the rules of the framing. */
bool channel_take(struct channel *channel, const struct frame *frame);
void channel_exited(struct channel *channel, int status);

/* The descriptors it waits for, at most WATCHED_MAX, and what to do with one that is ready. */
size_t channel_watch(const struct channel *channel, bool may_read, struct pollfd *fds);
void channel_ready(struct channel *channel, int fd, struct outbox *box);

/* Put what is due. True: that was the last of it, and the channel is free. */
bool channel_tell(struct channel *channel, struct outbox *box);

#endif
