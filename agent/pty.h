/* A pseudo terminal whose size and modes are set before any program sees it. */
#ifndef MOORAGE_PTY_H
#define MOORAGE_PTY_H

#include "frames.h"

struct pty {
    int master, slave;
};

/* False: errno says why, and nothing is left open. Both ends are closed on exec. With a slave that was given there is
 * no master here. */
bool pty_open(struct pty *pty, const struct spawn *spawn);
void pty_resize(int end, const struct size *size);

#endif
