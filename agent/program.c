#include "program.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

static const struct {
    const char *name;
    int number;
} SIGNALS[] = {
    {"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"FPE", SIGFPE},   {"HUP", SIGHUP},   {"ILL", SIGILL},
    {"INT", SIGINT},   {"KILL", SIGKILL}, {"PIPE", SIGPIPE}, {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV},
    {"TERM", SIGTERM}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
};

int signal_number(const char *name) {
    for (size_t nth = 0; nth < sizeof SIGNALS / sizeof *SIGNALS; nth++)
        if (strcmp(SIGNALS[nth].name, name) == 0)
            return SIGNALS[nth].number;
    return 0;
}

/* How long the name of an entry is, with its '='. */
static size_t name_length(const char *entry) {
    size_t length = strcspn(entry, "=");
    return entry[length] == '=' ? length + 1 : length;
}

static const char *env_value(char **envp, const char *name) {
    size_t length = strlen(name);
    for (; *envp; envp++)
        if (strncmp(*envp, name, length) == 0 && (*envp)[length] == '=')
            return *envp + length + 1;
    return NULL;
}

int exec_in_path(const char *program, char **argv, char **envp) {
    if (*program == 0)
        return ENOENT;
    if (strchr(program, '/')) {
        execve(program, argv, envp);
        return errno;
    }
    const char *path = env_value(envp, "PATH");
    int worst = ENOENT;
    for (const char *at = path ? path : PATH_DEFAULT;; at++) {
        size_t length = strcspn(at, ":");
        char folder[PATH_MAX] = ".", candidate[PATH_MAX]; /* an empty entry is where we are */
        if (length > 0 && length < PATH_MAX) {
            memcpy(folder, at, length);
            folder[length] = 0;
        }
        if (length < PATH_MAX && join(candidate, sizeof candidate, folder, "/", program, NULL)) {
            execve(candidate, argv, envp);
            if (errno == EACCES)
                worst = EACCES; /* there is one, so "not found" would be misleading; yet a later one may run */
            else if (errno != ENOENT && errno != ENOTDIR)
                return errno;
        }
        at += length;
        if (*at == 0)
            return worst;
    }
}

static size_t count_strings(char **list) {
    size_t count = 0;
    while (list[count])
        count++;
    return count;
}

char **merge_env(char **base, char **more) {
    char **merged = calloc(count_strings(base) + count_strings(more) + 1, sizeof *merged);
    if (!merged)
        return NULL;
    size_t count = 0;
    for (int from_more = 0; from_more < 2; from_more++)
        for (char **entry = from_more ? more : base; *entry; entry++) {
            size_t length = name_length(*entry), nth = 0;
            while (nth < count && strncmp(merged[nth], *entry, length) != 0)
                nth++;
            merged[nth] = *entry;
            count = nth == count ? count + 1 : count;
        }
    return merged;
}
