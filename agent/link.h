/* The two ways to reach the host, and the token that says who we are. */
#ifndef MOORAGE_LINK_H
#define MOORAGE_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    int in, out; /* non-blocking and closed on exec; one and the same for a socket */
};

/* What the engine has attached to our stdin and stdout; /dev/null takes their place. */
bool link_attached(struct link *link);

/* Connect to the host's Unix socket. */
bool link_socket(struct link *link, const char *path);

/* Move the token out of the environment, also out of /proc/self/environ. Its length, or -1: too long. */
int take_token(char *token, size_t size);

#endif
