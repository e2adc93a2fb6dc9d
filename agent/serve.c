#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "compat.h"
#include "frames.h"
#include "link.h"
#include "reap.h"
#include "text.h"

extern char **environ;

enum ending_of_serve { GOING_ON = -1, ENDED = 0, USAGE = 1, NO_LINK = 4, BROKEN = 5, SILENT = 6 };
enum {
    CHANNELS_MAX = 1024,
    OUTBOX_BYTES = 256 * 1024,
    INBOX_BYTES = 2 * (HEADER_BYTES + DATA_BYTES_MAX),
    HELLO_MS = 30 * 1000,
    LINK_AND_SIGNALS = 3,
};

static struct agent {
    struct link link;
    int signals;
    bool greeted;
    uint32_t window;           /* what each output of a new program may send */
    uint32_t silence_ms;       /* how long the host may say nothing; 0: as long as it likes */
    int64_t heard_ms;
    uint8_t *inbox;
    size_t in_capacity, in_start, in_end;
    struct outbox outbox;
    struct channel channels[CHANNELS_MAX];
    size_t channels_top;       /* all above it are free */
} agent;

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct channel *find_channel(uint32_t id) {
    for (size_t nth = 0; nth < agent.channels_top; nth++)
        if (agent.channels[nth].id == id)
            return &agent.channels[nth];
    return NULL;
}

static struct channel *free_slot(void) {
    size_t nth = 0;
    while (nth < CHANNELS_MAX && agent.channels[nth].id != 0)
        nth++;
    if (nth == CHANNELS_MAX)
        return NULL;
    agent.channels_top = nth < agent.channels_top ? agent.channels_top : nth + 1;
    return &agent.channels[nth];
}

/* The kernel gives a number again only when no session has it: what we remember under it has ended altogether. */
static void forget_pid(pid_t pid) {
    for (size_t nth = 0; nth < agent.channels_top; nth++)
        if (agent.channels[nth].exited && agent.channels[nth].pid == pid)
            agent.channels[nth].pid = 0;
}

static bool start_program(const struct frame *frame) {
    struct spawn spawn;
    struct started started;
    if (find_channel(frame->channel) || !spawn_read(frame, &spawn))
        return false;
    if (spawn.flags & GIVEN_SLAVE && !link_take_given(&agent.link, &spawn.slave)) {
        spawn_free(&spawn);
        return false;
    }
    struct channel *channel = free_slot();
    if (channel) {
        channel_open(channel, frame->channel, agent.window, spawn.flags & GIVEN_SLAVE);
        channel->failure = spawn_start(&spawn, environ, &started);
        if (!channel->failure.why) {
            forget_pid(started.pid);
            channel_started(channel, &started, spawn.flags & WITH_PTY);
        }
    } else {
        put_number(&agent.outbox, ERR, AT_LIMIT, frame->channel, EAGAIN);
        put_empty(&agent.outbox, CLOSE, 0, frame->channel);
        if (spawn.slave >= 0)
            close(spawn.slave);
    }
    spawn_free(&spawn);
    return true;
}

static bool greet(const struct frame *frame) {
    struct host_hello hello;
    if (agent.greeted || !hello_read(frame, &hello) || hello.version != VERSION)
        return false;
    agent.greeted = true;
    agent.window = hello.window;
    agent.silence_ms = hello.heartbeat_ms;
    return true;
}

/* False: the host breaks the rules. A channel that is not there any more was ended while this was on its way. */
static bool take_frame(const struct frame *frame) {
    if ((frame->type == HELLO) == agent.greeted)
        return false;
    if (frame->type == HELLO)
        return greet(frame);
    if (frame->type == PING) {
        put_frame(&agent.outbox, PONG, 0, 0, frame->body, frame->length);
        return true;
    }
    if (frame->type == SPAWN)
        return start_program(frame);
    struct channel *channel = find_channel(frame->channel);
    return !channel || channel->closing || channel_take(channel, frame);
}

static bool resize_inbox(size_t capacity) {
    memmove(agent.inbox, agent.inbox + agent.in_start, agent.in_end - agent.in_start);
    agent.in_end -= agent.in_start;
    agent.in_start = 0;
    if (capacity == agent.in_capacity)
        return true;
    uint8_t *moved = realloc(agent.inbox, capacity);
    if (moved) {
        agent.inbox = moved;
        agent.in_capacity = capacity;
    }
    return moved != NULL;
}

/* All whole frames, as long as there is room for their answers. */
static int take_frames(void) {
    while (outbox_room(&agent.outbox) >= TELL_BYTES_MAX) {
        struct frame frame;
        enum verdict verdict = frame_read(agent.inbox + agent.in_start, agent.in_end - agent.in_start, &frame);
        if (verdict == FRAME_BAD || (verdict == FRAME_WHOLE && !take_frame(&frame)))
            return BROKEN;
        if (verdict == FRAME_PARTIAL) {
            size_t needed = HEADER_BYTES + (size_t)frame.length;
            return resize_inbox(needed > INBOX_BYTES ? needed : INBOX_BYTES) ? GOING_ON : BROKEN;
        }
        agent.in_start += HEADER_BYTES + frame.length;
    }
    return GOING_ON;
}

static int read_link(void) {
    if (agent.in_end == agent.in_capacity)
        return GOING_ON;
    ssize_t count = link_read(&agent.link, agent.inbox + agent.in_end, agent.in_capacity - agent.in_end);
    if (count < 0 && errno == EPROTO)
        return BROKEN;
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        return ENDED;
    if (count > 0) {
        agent.in_end += (size_t)count;
        agent.heard_ms = now_ms();
    }
    return GOING_ON;
}

static int write_link(void) {
    struct outbox *box = &agent.outbox;
    if (box->start == box->end)
        return GOING_ON;
    ssize_t count = write(agent.link.out, box->bytes + box->start, box->end - box->start);
    if (count < 0 && errno != EAGAIN && errno != EINTR)
        return ENDED;
    if (count > 0)
        outbox_sent(box, (size_t)count);
    return GOING_ON;
}

static int take_signals(void) {
    struct signalfd_siginfo news;
    while (read(agent.signals, &news, sizeof news) == sizeof news)
        if (news.ssi_signo != SIGCHLD)
            return ENDED;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t nth = 0; nth < agent.channels_top; nth++)
            if (agent.channels[nth].id && agent.channels[nth].pid == pid && !agent.channels[nth].exited)
                channel_exited(&agent.channels[nth], status);
    return GOING_ON;
}

static int wait_ms(void) {
    if (agent.silence_ms == 0)
        return -1;
    int64_t left = agent.heard_ms + agent.silence_ms - now_ms();
    return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left + 1;
}

static void tell_channels(void) {
    for (size_t nth = 0; nth < agent.channels_top; nth++)
        if (agent.channels[nth].id)
            channel_tell(&agent.channels[nth], &agent.outbox);
    while (agent.channels_top > 0 && agent.channels[agent.channels_top - 1].id == 0)
        agent.channels_top--;
}

/* Which channel a descriptor of `watched` belongs to stands at the same place in `owners`. */
static struct pollfd watched[LINK_AND_SIGNALS + CHANNELS_MAX * WATCHED_MAX];
static struct channel *owners[LINK_AND_SIGNALS + CHANNELS_MAX * WATCHED_MAX];

static size_t watch_all(void) {
    bool may_take = outbox_room(&agent.outbox) >= TELL_BYTES_MAX && agent.in_end < agent.in_capacity;
    bool may_read = outbox_room(&agent.outbox) > RESERVED_BYTES + HEADER_BYTES;
    bool unsent = agent.outbox.start < agent.outbox.end;
    watched[0] = (struct pollfd){agent.link.in, may_take ? POLLIN : 0, 0};
    watched[1] = (struct pollfd){unsent ? agent.link.out : -1, POLLOUT, 0};
    watched[2] = (struct pollfd){agent.signals, POLLIN, 0};
    size_t count = LINK_AND_SIGNALS;
    for (size_t nth = 0; nth < agent.channels_top; nth++) {
        if (!agent.channels[nth].id)
            continue;
        size_t more = channel_watch(&agent.channels[nth], may_read, watched + count);
        while (more-- > 0)
            owners[count++] = &agent.channels[nth];
    }
    return count;
}

/* The channels' turn begins at another one each time: none is always the last to find the outbox full. */
static void serve_channels(size_t count) {
    static size_t turn;
    size_t of = count - LINK_AND_SIGNALS;
    turn++;
    for (size_t step = 0; step < of; step++) {
        size_t nth = LINK_AND_SIGNALS + (turn + step) % of;
        if (watched[nth].revents && owners[nth]->id)
            channel_ready(owners[nth], watched[nth].fd, &agent.outbox);
    }
}

static int turn_once(void) {
    size_t count = watch_all();
    if (poll(watched, (nfds_t)count, wait_ms()) < 0 && errno != EINTR)
        return BROKEN;
    int code = watched[0].revents ? (watched[0].events ? read_link() : ENDED) : GOING_ON;
    if (code == GOING_ON && watched[2].revents)
        code = take_signals();
    if (code == GOING_ON)
        serve_channels(count);
    if (code == GOING_ON)
        code = take_frames();
    if (code == GOING_ON) {
        tell_channels();
        code = write_link();
    }
    if (code == GOING_ON && agent.silence_ms && now_ms() >= agent.heard_ms + agent.silence_ms)
        code = SILENT;
    return code;
}

static bool set_up(const char *token, int token_bytes, uint32_t hello_ms) {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0);         /* no ptrace, no /proc/1/mem for the programs of our user */
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* when the engine's own init is PID 1 */
    agent.signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    agent.inbox = malloc(INBOX_BYTES);
    agent.outbox = (struct outbox){malloc(OUTBOX_BYTES), OUTBOX_BYTES, 0, 0};
    agent.in_capacity = INBOX_BYTES;
    agent.silence_ms = hello_ms;
    agent.heard_ms = now_ms();
    if (agent.signals < 0 || !agent.inbox || !agent.outbox.bytes)
        return false;
    put_hello(&agent.outbox, WINDOW_BYTES, CHANNELS_MAX, token, (size_t)token_bytes);
    return true;
}

int serve(char **args) {
    const char *path = NULL;
    long hello_ms = HELLO_MS;
    for (char **word = args; *word; word += 2) {
        if (!word[1] || (strcmp(*word, "--socket") != 0 && strcmp(*word, "--hello-ms") != 0))
            return usage("serve takes --socket PATH and --hello-ms N, not ", *word);
        if (strcmp(*word, "--socket") == 0)
            path = word[1];
        else
            hello_ms = number_in(word[1]);
    }
    char token[TOKEN_BYTES_MAX];
    int token_bytes = take_token(token, sizeof token);
    if (hello_ms < 1 || hello_ms > INT32_MAX || token_bytes < 0)
        return usage("--hello-ms has to be a positive number, and the token of at most 128 bytes", NULL);
    if (!set_up(token, token_bytes, (uint32_t)hello_ms) ||
        !(path ? link_socket(&agent.link, path) : link_attached(&agent.link))) {
        say(STDERR_FILENO, "no link to the host: ", strerror(errno), "\n", NULL);
        return NO_LINK;
    }
    int code = write_link();
    while (code == GOING_ON)
        code = turn_once();
    if (code == BROKEN) {
        if (outbox_room(&agent.outbox) >= TELL_BYTES_MAX)
            put_number(&agent.outbox, ERR, AT_PROTOCOL, 0, EPROTO);
        write_link();
    }
    kill_descendants();
    return code;
}
