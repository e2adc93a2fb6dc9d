/* The two ways to reach the host, and the token that says who we are. */
#ifndef MOORAGE_LINK_H
#define MOORAGE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { GIVEN_MAX = 1024 };

struct link {
    int in, out; /* non-blocking and closed on exec; one and the same for a socket */
    int given[GIVEN_MAX]; /* descriptors that came over the socket, the oldest first; -1: we had no room for it */
    size_t given_count;
};

/* What the engine has attached to our stdin and stdout; /dev/null takes their place. */
bool link_attached(struct link *link);

/* Connect to the host's Unix socket. */
bool link_socket(struct link *link, const char *path);

/* As read(2), on either kind of link. What the host gives with the bytes is kept; too many of it: EPROTO. */
ssize_t link_read(struct link *link, uint8_t *bytes, size_t count);

/* The oldest of what was given, or -1; false: the host has given nothing. */
bool link_take_given(struct link *link, int *fd);

/* Move the token out of the environment, also out of /proc/self/environ. Its length, or -1: too long. */
int take_token(char *token, size_t size);

#endif
