#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pty.h"
#include "reap.h"

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void channel_open(struct channel *channel, uint32_t id, uint32_t window, bool given) {
    *channel = (struct channel){.id = id, .news = -1, .slave = -1, .in = -1, .in_credit = WINDOW_BYTES};
    channel->given = channel->in_told = given;
    for (int nth = 0; nth < 2; nth++)
        channel->out[nth] = (struct output){-1, window, false};
}

void channel_started(struct channel *channel, const struct started *started, bool pty) {
    channel->pid = started->pid;
    channel->pty = pty;
    channel->news = started->news;
    channel->slave = started->slave;
    channel->in = pty && !channel->given ? fcntl(started->out, F_DUPFD_CLOEXEC, 0) : started->in;
    channel->out[0].fd = started->out;
    channel->out[1].fd = started->err;
    channel->out[1].told = pty; /* a terminal has one output, and no EOF is sent for the other */
}

/* One buffer is kept when it is empty: a program that reads a little slower than it is sent to fills and empties its
 * own for each piece, and the kernel would have to clear its pages anew each time. */
static uint8_t *spare;

static uint8_t *take_buffer(void) {
    uint8_t *buffer = spare ? spare : malloc(WINDOW_BYTES);
    spare = NULL;
    return buffer;
}

static void leave_buffer(uint8_t *buffer) {
    if (spare)
        free(buffer);
    else
        spare = buffer;
}

/* Whoever reads stdin is gone: the host is told, and gets no credit for what is dropped. */
static void drop_input(struct channel *channel) {
    close_fd(&channel->in);
    if (channel->held)
        leave_buffer(channel->held);
    channel->held = NULL;
    channel->held_start = channel->held_end = 0;
}

/* What the program takes of these bytes at once. */
static size_t write_input(struct channel *channel, const uint8_t *bytes, size_t count) {
    ssize_t wrote = write(channel->in, bytes, count);
    if (wrote < 0 && errno != EAGAIN && errno != EINTR)
        drop_input(channel);
    channel->owed += wrote > 0 ? (uint32_t)wrote : 0;
    return wrote > 0 ? (size_t)wrote : 0;
}

static void finish_input(struct channel *channel) {
    /* A terminal has no end of file that is not a character: nothing happens to it here. */
    if (channel->in_ended && !channel->held && !channel->pty) {
        close_fd(&channel->in);
        channel->in_told = true;
    }
}

static bool take_data(struct channel *channel, const uint8_t *bytes, size_t count) {
    if (count > channel->in_credit || channel->in_ended)
        return false;
    channel->in_credit -= (uint32_t)count;
    if (channel->in < 0)
        return true;
    size_t wrote = channel->held ? 0 : write_input(channel, bytes, count);
    if (wrote == count || channel->in < 0)
        return true;
    if (!channel->held)
        channel->held = take_buffer(); /* the credit sees to it that this is enough */
    if (!channel->held) {
        drop_input(channel);
        return true;
    }
    if (channel->held_end + count - wrote > WINDOW_BYTES) {
        memmove(channel->held, channel->held + channel->held_start, channel->held_end - channel->held_start);
        channel->held_end -= channel->held_start;
        channel->held_start = 0;
    }
    memcpy(channel->held + channel->held_end, bytes + wrote, count - wrote);
    channel->held_end += count - wrote;
    return true;
}

static bool take_credit(struct output *output, uint32_t more) {
    if (more == 0 || more > WINDOW_BYTES_MAX - output->credit)
        return false;
    output->credit += more;
    return true;
}

/* As a terminal would: to the group in its foreground; without one to the program's own group. */
static void deliver(const struct channel *channel, int number) {
    pid_t group = channel->given ? foreground_of(channel->pid) : channel->pty ? tcgetpgrp(channel->out[0].fd) : 0;
    kill(-(group > 0 ? group : channel->pid), number);
}

static void close_by_host(struct channel *channel) {
    channel->closing = true;
    if (!channel->exited && channel->pid > 0)
        kill(channel->pid, SIGKILL); /* it may not have a session yet */
    if (channel->pid > 0)
        kill_session(channel->pid);
    drop_input(channel);
    channel->in_told = true;
    channel->out[0].told |= channel->given;
    for (int nth = 0; nth < 2; nth++)
        close_fd(&channel->out[nth].fd);
    close_fd(&channel->slave);
}

bool channel_take(struct channel *channel, const struct frame *frame) {
    struct size size;
    switch (frame->type) {
    case CREDIT:
        return !channel->given && take_credit(&channel->out[frame->arg - STREAM_OUT], get_u32(frame->body));
    case DATA:
        return !channel->given && take_data(channel, frame->body, frame->length);
    case END:
        if (frame->arg == STREAM_OUT) {
            bool fits = channel->given && !channel->out[0].told;
            channel->out[0].told = true;
            return fits;
        }
        channel->in_ended = true;
        finish_input(channel);
        return true;
    case RESIZE:
        size = size_read(frame->body);
        if (channel->pty && channel->out[0].fd >= 0)
            pty_resize(channel->out[0].fd, &size);
        return true;
    case SIGNAL:
        if (channel->running && !channel->exited)
            deliver(channel, frame->arg);
        else if (!channel->exited)
            channel->signals |= UINT64_C(1) << (frame->arg - 1);
        return true;
    default:
        if (!channel->closing)
            close_by_host(channel);
        return true;
    }
}

void channel_exited(struct channel *channel, int status) {
    channel->exited = true;
    channel->status = status;
    close_fd(&channel->slave); /* held until now, so that a program may close its terminal and open it again */
}

static void watch(struct pollfd *fds, size_t *count, int fd, short events) {
    if (fd >= 0)
        fds[(*count)++] = (struct pollfd){fd, events, 0};
}

size_t channel_watch(const struct channel *channel, bool may_read, struct pollfd *fds) {
    size_t count = 0;
    watch(fds, &count, channel->news, POLLIN);
    if (channel->held)
        watch(fds, &count, channel->in, POLLOUT);
    for (int nth = 0; nth < 2; nth++) /* not watched at all without credit: the end of a pipe is reported unasked */
        if (may_read && channel->spawned_told && channel->out[nth].credit > 0)
            watch(fds, &count, channel->out[nth].fd, POLLIN);
    return count;
}

static void read_news(struct channel *channel) {
    ssize_t count = read(channel->news, &channel->failure, sizeof channel->failure);
    if (count < 0 && errno == EAGAIN)
        return;
    close_fd(&channel->news);
    channel->running = count != sizeof channel->failure;
    if (!channel->running)
        return;
    channel->failure = (struct failure){0};
    for (int number = 1; number <= SIGNAL_MAX; number++)
        if (channel->signals >> (number - 1) & 1)
            deliver(channel, number);
    channel->signals = 0;
}

static void write_held(struct channel *channel) {
    channel->held_start +=
        write_input(channel, channel->held + channel->held_start, channel->held_end - channel->held_start);
    if (channel->held && channel->held_start == channel->held_end) {
        leave_buffer(channel->held);
        channel->held = NULL;
        channel->held_start = channel->held_end = 0;
    }
    finish_input(channel);
}

/* Straight into the outbox, behind a header that is written when the length is known. True: there may be more. */
static bool read_output(struct channel *channel, int nth, struct outbox *box) {
    struct output *output = &channel->out[nth];
    size_t room = outbox_room(box), most = DATA_BYTES_MAX;
    if (room <= RESERVED_BYTES + HEADER_BYTES || output->credit == 0)
        return false;
    most = most < output->credit ? most : output->credit;
    most = most < room - RESERVED_BYTES - HEADER_BYTES ? most : room - RESERVED_BYTES - HEADER_BYTES;
    uint8_t *at = box->bytes + box->end;
    ssize_t count = read(output->fd, at + HEADER_BYTES, most);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (count <= 0) { /* a terminal's end is EIO */
        close_fd(&output->fd);
        return false;
    }
    put_header(at, (uint32_t)count, DATA, (uint8_t)(STREAM_OUT + nth), channel->id);
    box->end += HEADER_BYTES + (size_t)count;
    output->credit -= (uint32_t)count;
    return (size_t)count == most;
}

void channel_ready(struct channel *channel, int fd, struct outbox *box) {
    if (fd == channel->news)
        read_news(channel);
    else if (fd == channel->in)
        write_held(channel);
    for (int nth = 0; nth < 2; nth++)
        if (fd == channel->out[nth].fd && channel->spawned_told && channel->out[nth].credit > 0)
            while (read_output(channel, nth, box)) /* all that fits leaves in one write */
                continue;
}

static void free_channel(struct channel *channel) {
    drop_input(channel);
    for (int nth = 0; nth < 2; nth++)
        close_fd(&channel->out[nth].fd);
    close_fd(&channel->news);
    close_fd(&channel->slave);
    channel->id = 0;
}

static bool tell_failure(struct channel *channel, struct outbox *box) {
    put_number(box, ERR, channel->failure.stage, channel->id, (uint32_t)channel->failure.why);
    put_empty(box, CLOSE, 0, channel->id);
    free_channel(channel);
    return true;
}

static void tell_exit(struct channel *channel, struct outbox *box) {
    int status = channel->status;
    if (WIFSIGNALED(status)) {
        uint8_t how = WCOREDUMP(status) ? BY_SIGNAL_WITH_CORE : BY_SIGNAL;
        put_number(box, EXIT, how, channel->id, (uint32_t)WTERMSIG(status));
    } else {
        put_number(box, EXIT, BY_STATUS, channel->id, (uint32_t)WEXITSTATUS(status));
    }
    channel->exit_told = true;
}

bool channel_tell(struct channel *channel, struct outbox *box) {
    if (outbox_room(box) < TELL_BYTES_MAX)
        return false;
    if (channel->failure.why && channel->news < 0 && (channel->exited || channel->pid == 0))
        return tell_failure(channel, box);
    if (!channel->running)
        return false;
    if (!channel->spawned_told)
        put_number(box, SPAWNED, 0, channel->id, (uint32_t)channel->pid);
    channel->spawned_told = true;
    if (channel->owed >= WINDOW_BYTES / 4 && channel->in >= 0) {
        put_number(box, CREDIT, STREAM_IN, channel->id, channel->owed);
        channel->in_credit += channel->owed;
        channel->owed = 0;
    }
    if (channel->in < 0 && !channel->in_told) {
        put_empty(box, END, STREAM_IN, channel->id);
        channel->in_told = true;
    }
    for (int nth = 0; nth < 2; nth++)
        if (channel->out[nth].fd < 0 && !channel->out[nth].told && !channel->given) {
            put_empty(box, END, (uint8_t)(STREAM_OUT + nth), channel->id);
            channel->out[nth].told = true;
        }
    if (channel->exited && !channel->exit_told)
        tell_exit(channel, box);
    if (!channel->exit_told || !channel->out[0].told || !channel->out[1].told)
        return false;
    put_empty(box, CLOSE, 0, channel->id);
    free_channel(channel);
    return true;
}
