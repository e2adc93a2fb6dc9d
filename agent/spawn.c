#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "program.h"
#include "pty.h"

#ifndef F_SETPIPE_SZ
#define F_SETPIPE_SZ 1031
#endif

enum { NEWS_FD = 3, PIPE_BYTES = 256 * 1024 };

/* What the program gets, and what we keep of it. */
struct ends {
    int theirs[3];
    int ours[3];
};

static void close_all(const int *fds, size_t count) {
    for (size_t nth = 0; nth < count; nth++)
        if (fds[nth] >= 0)
            close(fds[nth]);
}

/* Only our end is non-blocking: the program has not asked for surprises on its stdout. */
static bool make_pipe(struct ends *ends, int nth, bool program_reads, const struct spawn *spawn) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    ends->theirs[nth] = fds[program_reads ? 0 : 1];
    ends->ours[nth] = fds[program_reads ? 1 : 0];
    fcntl(ends->ours[nth], F_SETFL, O_NONBLOCK);
    fcntl(ends->ours[nth], F_SETPIPE_SZ, PIPE_BYTES); /* as much as the host grants: fewer turns between the two */
    /* As owner the program's user may open /dev/stdout again. What is refused here is no failure. */
    if (spawn->flags & WITH_USER)
        (void)!fchown(ends->theirs[nth], spawn->uid, spawn->gid);
    return true;
}

static struct failure failed(uint8_t stage) {
    return (struct failure){stage, errno};
}

static struct failure become_user(const struct spawn *spawn) {
    gid_t groups[GROUPS_MAX];
    if (spawn->uid == (uid_t)-1 || spawn->gid == (gid_t)-1) { /* to the kernel: stay who you are */
        errno = EINVAL;
        return failed(AT_USER);
    }
    for (size_t nth = 0; nth < spawn->group_count; nth++)
        groups[nth] = spawn->groups[nth];
    if (setgroups(spawn->group_count, groups) < 0 || setresgid(spawn->gid, spawn->gid, spawn->gid) < 0 ||
        setresuid(spawn->uid, spawn->uid, spawn->uid) < 0)
        return failed(AT_USER);
    return (struct failure){0};
}

/* In the child, with its stdio in place. Gives what has failed; does not return when all went well. */
static struct failure become(const struct spawn *spawn, char **envp) {
    if (setsid() < 0)
        return failed(AT_RESOURCES);
    if (spawn->flags & WITH_PTY && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
        return failed(AT_TERMINAL);
    struct failure failure = spawn->flags & WITH_USER ? become_user(spawn) : (struct failure){0};
    if (failure.why)
        return failure;
    if (*spawn->directory && chdir(spawn->directory) < 0)
        return failed(AT_DIRECTORY);
    errno = exec_in_path(*spawn->program ? spawn->program : spawn->argv[0], spawn->argv, envp);
    return failed(AT_EXEC);
}

static void reset_signals(void) {
    sigset_t none;
    for (int number = 1; number <= SIGNAL_MAX; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Put 0 to 3 in place and close the rest: what others have open must not stay open here until we are executed. */
static bool take_fds(const int *theirs, int news) {
    int high[4];
    for (int nth = 0; nth < 4; nth++) {
        high[nth] = fcntl(nth < 3 ? theirs[nth] : news, F_DUPFD_CLOEXEC, NEWS_FD + 1);
        if (high[nth] < 0)
            return false;
    }
    for (int nth = 0; nth < 4; nth++)
        if (dup2(high[nth], nth) < 0)
            return false;
#ifdef SYS_close_range
    syscall(SYS_close_range, NEWS_FD + 1, ~0U, 0); /* older kernels: they are all close-on-exec anyway */
#endif
    return fcntl(NEWS_FD, F_SETFD, FD_CLOEXEC) == 0;
}

static _Noreturn void child(const struct spawn *spawn, char **own_env, const int *theirs, int news) {
    struct failure failure = {AT_RESOURCES, ENOMEM};
    char **envp = spawn->flags & INHERIT_ENV ? merge_env(own_env, spawn->envp) : spawn->envp;
    reset_signals();
    if (!take_fds(theirs, news)) {
        failure = failed(AT_RESOURCES);
        (void)!write(news, &failure, sizeof failure);
        _exit(127);
    }
    if (envp)
        failure = become(spawn, envp);
    (void)!write(NEWS_FD, &failure, sizeof failure);
    _exit(127);
}

static struct failure open_ends(const struct spawn *spawn, struct ends *ends, struct started *started) {
    if (spawn->flags & WITH_PTY) {
        struct pty pty;
        if (spawn->flags & GIVEN_SLAVE && spawn->slave < 0) { /* it was given, and there was no room for it */
            errno = EMFILE;
            return failed(AT_TERMINAL);
        }
        if (!pty_open(&pty, spawn))
            return failed(AT_TERMINAL);
        ends->theirs[0] = ends->theirs[1] = ends->theirs[2] = started->slave = pty.slave;
        ends->ours[1] = pty.master;
        return (struct failure){0};
    }
    for (int nth = 0; nth < 3; nth++)
        if (!make_pipe(ends, nth, nth == 0, spawn))
            return failed(AT_RESOURCES);
    return (struct failure){0};
}

struct failure spawn_start(const struct spawn *spawn, char **own_env, struct started *started) {
    struct ends ends = {{-1, -1, -1}, {-1, -1, -1}};
    int news[2] = {-1, -1};
    *started = (struct started){.in = -1, .out = -1, .err = -1, .slave = -1, .news = -1};
    struct failure failure = open_ends(spawn, &ends, started);
    if (!failure.why && pipe2(news, O_CLOEXEC) < 0)
        failure = failed(AT_RESOURCES);
    if (!failure.why) {
        started->pid = fork();
        if (started->pid == 0)
            child(spawn, own_env, ends.theirs, news[1]);
        if (started->pid < 0)
            failure = failed(AT_RESOURCES);
    }
    close_all(&news[1], 1);
    if (failure.why) {
        close_all(news, 1);
        close_all(ends.ours, 3);
    }
    if (!(spawn->flags & WITH_PTY))
        close_all(ends.theirs, 3);
    else if (failure.why)
        close_all(&started->slave, 1);
    if (failure.why)
        return failure;
    fcntl(news[0], F_SETFL, O_NONBLOCK);
    started->in = ends.ours[0];
    started->out = ends.ours[1];
    started->err = ends.ours[2];
    started->news = news[0];
    return failure;
}
