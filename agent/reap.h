/* Ending processes that are more than one group. */
#ifndef MOORAGE_REAP_H
#define MOORAGE_REAP_H

#include <sys/types.h>

/* The process group in the foreground of its terminal, or 0. */
pid_t foreground_of(pid_t program);

/* Kill every process of the session, also those that a shell has put into groups of their own. */
void kill_session(pid_t session);

/* Kill all that descends from us and wait for it. What is left when we end as PID 1, the kernel ends. */
void kill_descendants(void);

#endif
