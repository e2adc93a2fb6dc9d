/* Starting one program: pipes or a terminal, a session of its own, and the news whether it could be executed. */
#ifndef MOORAGE_SPAWN_H
#define MOORAGE_SPAWN_H

#include <sys/types.h>

#include "frames.h"

/* Our ends of what the program has. -1: there is none (with a terminal, `out` is its master and `slave` its slave). */
struct started {
    pid_t pid;
    int in, out, err, slave;
    int news; /* end of file: executed; a `failure`: not */
};

struct failure {
    uint8_t stage;
    int why;
};

/* A failure with `why` 0 means that there is a process; `news` will tell whether it became the program. */
struct failure spawn_start(const struct spawn *spawn, char **own_env, struct started *started);

#endif
