/* The framing between the agent and the host, as README.md defines it: numbers, limits, reading and writing. No system
 * calls here, so that the same bytes can be checked against golden files. */
#ifndef MOORAGE_FRAMES_H
#define MOORAGE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VERSION = 1,
    HEADER_BYTES = 12,
    DATA_BYTES_MAX = 64 * 1024,
    SPAWN_BYTES_MAX = 1024 * 1024,
    SPAWN_FIXED_BYTES = 32,
    TOKEN_BYTES_MAX = 128,
    WINDOW_BYTES_MAX = 16 * 1024 * 1024,
    MODE_BYTES = 5,
    MODES_MAX = 256,
    GROUPS_MAX = 64,
    SIGNAL_MAX = 64,
};

enum frame_type {
    HELLO = 1,
    PING,
    PONG,
    SPAWN,
    SPAWNED,
    ERR,
    DATA,
    END, /* EOF in README.md; the C library has taken the name */
    CREDIT,
    RESIZE,
    SIGNAL,
    EXIT,
    CLOSE,
};

enum stream { STREAM_IN, STREAM_OUT, STREAM_ERR };
enum spawn_flag { WITH_PTY = 1, WITH_USER = 2, INHERIT_ENV = 4, GIVEN_SLAVE = 8, SPAWN_FLAGS = 15 };
enum stage { AT_PROTOCOL, AT_LIMIT, AT_RESOURCES, AT_TERMINAL, AT_USER, AT_DIRECTORY, AT_EXEC };
enum ending { BY_STATUS, BY_SIGNAL, BY_SIGNAL_WITH_CORE };

struct frame {
    uint32_t length;
    uint32_t channel;
    uint8_t type;
    uint8_t arg;
    const uint8_t *body;
};

enum verdict { FRAME_PARTIAL, FRAME_WHOLE, FRAME_BAD };

/* What the host may send. FRAME_PARTIAL with frame->length set once the header is there: so many bytes will follow. */
enum verdict frame_read(const uint8_t *bytes, size_t count, struct frame *frame);

struct size {
    uint16_t rows, columns, x_pixels, y_pixels;
};

struct spawn {
    uint8_t flags;
    struct size size;
    uint32_t uid, gid;
    uint32_t groups[GROUPS_MAX];
    size_t group_count;
    const uint8_t *modes;
    size_t mode_count;
    int slave;             /* GIVEN_SLAVE: of the terminal whose master the host has; else -1 */
    const char *directory; /* "": where the agent is */
    const char *program;   /* "": argv[0] */
    char **argv;           /* both end with NULL and point into the frame */
    char **envp;
};

/* False: not a SPAWN by the rules, or no memory for the two lists. The frame has to outlive what is read. */
bool spawn_read(const struct frame *frame, struct spawn *spawn);
void spawn_free(struct spawn *spawn);

struct host_hello {
    uint16_t version;
    uint32_t window;
    uint32_t heartbeat_ms;
};
bool hello_read(const struct frame *frame, struct host_hello *hello);
struct size size_read(const uint8_t *body);

uint16_t get_u16(const uint8_t *at);
uint32_t get_u32(const uint8_t *at);

/* Frames on their way out. Whoever puts one has asked for the room before. */
struct outbox {
    uint8_t *bytes;
    size_t capacity, start, end;
};
size_t outbox_room(struct outbox *box);
void outbox_sent(struct outbox *box, size_t count);
void put_header(uint8_t *at, uint32_t length, uint8_t type, uint8_t arg, uint32_t channel);
void put_frame(struct outbox *box, uint8_t type, uint8_t arg, uint32_t channel, const uint8_t *body, uint32_t length);
void put_empty(struct outbox *box, uint8_t type, uint8_t arg, uint32_t channel);
void put_number(struct outbox *box, uint8_t type, uint8_t arg, uint32_t channel, uint32_t number);
void put_hello(struct outbox *box, uint32_t window, uint32_t channels_max, const char *token, size_t token_bytes);

#endif
