#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TOKEN_NAME "MOORAGE_TOKEN"
#define UNSENT_BYTES (512 * 1024) /* so that the host takes many frames at once */

static void set_non_blocking(int fd) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

bool link_attached(struct link *link) {
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    link->in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    link->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (link->in < 0 || link->out < 0)
        return false;
    set_non_blocking(link->in);
    set_non_blocking(link->out);
    if (nothing >= 0) {
        dup2(nothing, STDIN_FILENO);
        dup2(nothing, STDOUT_FILENO);
        if (nothing > STDERR_FILENO)
            close(nothing);
    }
    return true;
}

bool link_socket(struct link *link, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    link->in = link->out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int room = UNSENT_BYTES; /* as much of it as the host's kernel grants */
    setsockopt(link->in, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (link->in < 0 || connect(link->in, (struct sockaddr *)&address, sizeof address) < 0)
        return false;
    set_non_blocking(link->in);
    return true;
}

static bool keep_given(struct link *link, struct msghdr *message) {
    int fd = -1;
    struct cmsghdr *part = CMSG_FIRSTHDR(message);
    if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(part), sizeof fd);
    else if (!(message->msg_flags & MSG_CTRUNC))
        return true;
    if (link->given_count == GIVEN_MAX || (fd >= 0 && message->msg_flags & MSG_CTRUNC)) { /* or more than one */
        if (fd >= 0)
            close(fd);
        errno = EPROTO;
        return false;
    }
    link->given[link->given_count++] = fd;
    return true;
}

ssize_t link_read(struct link *link, uint8_t *bytes, size_t count) {
    if (link->in != link->out)
        return read(link->in, bytes, count);
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {bytes, count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = CMSG_LEN(sizeof(int)); /* not its size, which has room for two */
    ssize_t got = recvmsg(link->in, &message, MSG_CMSG_CLOEXEC);
    return got > 0 && !keep_given(link, &message) ? -1 : got;
}

bool link_take_given(struct link *link, int *fd) {
    if (link->given_count == 0)
        return false;
    *fd = link->given[0];
    memmove(link->given, link->given + 1, --link->given_count * sizeof *link->given);
    return true;
}

int take_token(char *token, size_t size) {
    char *value = getenv(TOKEN_NAME);
    size_t length = value ? strlen(value) : 0;
    if (length > size)
        return -1;
    if (value) {
        memcpy(token, value, length);
        memset(value, 0, length);
        unsetenv(TOKEN_NAME);
    }
    return (int)length;
}
