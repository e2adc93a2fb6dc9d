#include "reap.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "text.h"

enum { PASSES_MAX = 8 };

struct stat_of {
    char state;
    int parent, group, session, terminal, foreground;
};

/* The part of /proc/N/stat behind the name, which may hold anything. False: it has just ended. */
static bool read_stat(const char *number, struct stat_of *of) {
    char path[64], text[512];
    if (!join(path, sizeof path, "/proc/", number, "/stat", NULL))
        return false;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    if (count <= 0)
        return false;
    text[count] = 0;
    char *behind = strrchr(text, ')');
    if (!behind || strlen(behind) < 4)
        return false;
    char *at = behind + 4; /* ") S " and then parent, group, session */
    of->state = behind[2];
    int *fields[] = {&of->parent, &of->group, &of->session, &of->terminal, &of->foreground};
    for (size_t nth = 0; nth < sizeof fields / sizeof *fields; nth++)
        *fields[nth] = (int)strtol(at, &at, 10);
    return true;
}

/* Kill what is of this session, or a child of ours when `session` is 0. How many were still alive. */
static int kill_pass(pid_t session) {
    DIR *proc = opendir("/proc");
    int found = 0;
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        struct stat_of of;
        if (!isdigit((unsigned char)*entry->d_name) || !read_stat(entry->d_name, &of))
            continue;
        if (of.state == 'Z' || of.state == 'X' || (session ? of.session != session : of.parent != getpid()))
            continue;
        found++;
        kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
    }
    if (proc)
        closedir(proc);
    return found;
}

pid_t foreground_of(pid_t program) {
    struct stat_of of;
    return read_stat(digits_of((unsigned)program).text, &of) && of.foreground > 0 ? of.foreground : 0;
}

void kill_session(pid_t session) {
    kill(-session, SIGKILL); /* also where there is no /proc */
    /* One that was forked while we looked is found by the next look; one that was killed forks no more. */
    for (int pass = 0; pass < PASSES_MAX && kill_pass(session) > 0; pass++)
        continue;
}

void kill_descendants(void) {
    if (getpid() == 1)
        return;
    /* Grandchildren become our children when their parents are gone. */
    while (kill_pass(0) > 0)
        while (waitpid(-1, NULL, 0) < 0)
            break;
}
