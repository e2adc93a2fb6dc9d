#include "compat.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"
#include "text.h"

extern char **environ;

enum { DONE = 0, USAGE = 1, NO_START_BYTE = 2, NO_PROCESS = 2, NO_PID_WRITTEN = 3, NOT_SENT = 3, NOT_RUN = 127 };

static const char USAGE_TEXT[] =
    "usage:\n"
    "  agent console [--env NAME=VALUE]... [--wait] [--pid] -- PROGRAM [ARGUMENT]...\n"
    "  agent signal --pid N --signal NAME\n"
    "  agent wait-signal --signal NAME... [--message TEXT]\n"
    "  agent write-file PATH\n"
    "  agent serve [--socket PATH] [--hello-ms N]\n";

int usage(const char *problem, const char *about) {
    if (problem)
        say(STDERR_FILENO, "Error: ", problem, about ? about : "", "\n", NULL);
    say(STDOUT_FILENO, USAGE_TEXT, NULL);
    return USAGE;
}

/* The program's environment is ours with what --env says; ours also replaces, where the original only appends. */
static char **console_env(char **words, size_t count) {
    char **more = calloc(count + 1, sizeof *more);
    size_t found = 0;
    for (size_t nth = 0; more && nth < count; nth++)
        if (strcmp(words[nth], "--env") == 0)
            more[found++] = words[++nth];
    return more ? merge_env(environ, more) : NULL;
}

static int write_pid(void) {
    uint32_t pid = (uint32_t)getpid();
    uint8_t bytes[4] = {(uint8_t)pid, (uint8_t)(pid >> 8), (uint8_t)(pid >> 16), (uint8_t)(pid >> 24)};
    return write(STDOUT_FILENO, bytes, sizeof bytes) == sizeof bytes ? DONE : NO_PID_WRITTEN;
}

static int wait_for_start(void) {
    char first;
    if (read(STDIN_FILENO, &first, 1) != 1) {
        usage("nothing could be read from stdin", NULL);
        return NO_START_BYTE;
    }
    if (first == '\0' || first == '\n')
        return DONE;
    usage("the first byte on stdin has to be a NUL or a newline", NULL);
    return NO_START_BYTE;
}

int console(char **args) {
    int wait = 0, pid = 0;
    char **word = args;
    for (; *word && strcmp(*word, "--") != 0; word++) {
        if (strcmp(*word, "--wait") == 0) {
            wait = 1;
        } else if (strcmp(*word, "--pid") == 0) {
            pid = 1;
        } else if (strcmp(*word, "--env") == 0) {
            if (!word[1] || strncmp(word[1], "--", 2) == 0)
                return usage("--env requires an argument", NULL);
            if (!strchr(*++word, '='))
                return usage("--env requires an argument of the form NAME=VALUE", NULL);
        } else {
            return usage("invalid parameter: ", *word);
        }
    }
    if (!*word || !word[1])
        return usage("no program to run was given", NULL);
    char **env = console_env(args, (size_t)(word - args));
    if (!env) {
        say(STDERR_FILENO, strerror(ENOMEM), NULL);
        return NOT_RUN;
    }
    int failed = wait ? wait_for_start() : DONE;
    if (!failed && pid)
        failed = write_pid();
    if (failed)
        return failed;
    say(STDERR_FILENO, strerror(exec_in_path(word[1], word + 1, env)), NULL);
    return NOT_RUN;
}

int send_signal(char **args) {
    long pid = 0;
    int number = 0;
    for (char **word = args; *word; word += 2) {
        int is_pid = strcmp(*word, "--pid") == 0;
        if (!is_pid && strcmp(*word, "--signal") != 0)
            return usage("unknown option: ", *word);
        if (!word[1])
            return usage(*word, " requires an argument");
        if (is_pid) {
            if (pid)
                return usage("--pid is duplicate", NULL);
            pid = number_in(word[1]);
            if (pid < 1)
                return usage("--pid requires a positive integer argument", NULL);
        } else {
            number = signal_number(word[1]);
            if (!number)
                return usage("unsupported signal: ", word[1]);
        }
    }
    if (!pid)
        return usage("missing required --pid option", NULL);
    if (!number)
        return usage("missing required --signal option", NULL);
    int known = pid <= INT_MAX;
    if (known && kill((pid_t)pid, number) == 0)
        return DONE;
    if (!known || errno == ESRCH) {
        say(STDERR_FILENO, "process not found (", digits_of((unsigned long)pid).text, ")\n", NULL);
        return NO_PROCESS;
    }
    say(STDERR_FILENO, "failed to send signal (", strerror(errno), ")\n", NULL);
    return NOT_SENT;
}

int wait_signal(char **args) {
    sigset_t wanted;
    const char *message = "";
    int any = 0;
    sigemptyset(&wanted);
    for (char **word = args; *word; word += 2) {
        int is_message = strcmp(*word, "--message") == 0;
        if (!is_message && strcmp(*word, "--signal") != 0)
            return usage("unknown option: ", *word);
        if (!word[1])
            return usage(*word, " requires an argument");
        if (is_message) {
            if (*message)
                return usage("--message is duplicate", NULL);
            message = word[1];
        } else {
            int number = signal_number(word[1]);
            if (!number)
                return usage("unsupported signal: ", word[1]);
            sigaddset(&wanted, number);
            any = 1;
        }
    }
    if (!any)
        return usage("missing required --signal option", NULL);
    /* As PID 1 the kernel hands us the orphans of the container: nobody else can reap them. */
    sigaddset(&wanted, SIGCHLD);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    int got;
    do {
        got = sigwaitinfo(&wanted, NULL);
        while (got == SIGCHLD && waitpid(-1, NULL, WNOHANG) > 0)
            continue;
    } while (got == SIGCHLD || got < 0);
    say(STDOUT_FILENO, message, NULL);
    return DONE;
}

int write_file(char **args) {
    static char buffer[64 * 1024];
    if (!*args)
        return usage("no file was given", NULL);
    int file = open(*args, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || fchmod(file, 0600) < 0) {
        say(STDERR_FILENO, "cannot open ", *args, ": ", strerror(errno), "\n", NULL);
        return USAGE;
    }
    for (;;) {
        ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0 && close(file) == 0)
            return DONE;
        ssize_t done = 0, wrote = 0;
        while (count > 0 && done < count && (wrote = write(file, buffer + done, (size_t)(count - done))) > 0)
            done += wrote;
        if (count <= 0 || done < count) {
            say(STDERR_FILENO, "cannot write ", *args, ": ", strerror(errno), "\n", NULL);
            return USAGE;
        }
    }
}
