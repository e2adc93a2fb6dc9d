#include "frames.h"

#include <stdlib.h>
#include <string.h>

struct rule {
    uint32_t length_min, length_max;
    uint8_t arg_min, arg_max;
    bool allowed, on_link; /* on_link: channel 0 and no other; else any other but 0 */
};

/* What the host may send; all else is not a frame. */
static const struct rule RULES[] = {
    [HELLO] = {12, 12, 0, 0, true, true},
    [PING] = {8, 8, 0, 0, true, true},
    [SPAWN] = {SPAWN_FIXED_BYTES + 3, SPAWN_BYTES_MAX, 0, SPAWN_FLAGS, true, false},
    [DATA] = {1, DATA_BYTES_MAX, STREAM_IN, STREAM_IN, true, false},
    [END] = {0, 0, STREAM_IN, STREAM_OUT, true, false},
    [CREDIT] = {4, 4, STREAM_OUT, STREAM_ERR, true, false},
    [RESIZE] = {8, 8, 0, 0, true, false},
    [SIGNAL] = {0, 0, 1, SIGNAL_MAX, true, false},
    [CLOSE] = {0, 0, 0, 0, true, false},
};

uint16_t get_u16(const uint8_t *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)get_u16(at) | (uint32_t)get_u16(at + 2) << 16;
}

static void set_u16(uint8_t *at, uint16_t number) {
    at[0] = (uint8_t)number;
    at[1] = (uint8_t)(number >> 8);
}

static void set_u32(uint8_t *at, uint32_t number) {
    set_u16(at, (uint16_t)number);
    set_u16(at + 2, (uint16_t)(number >> 16));
}

enum verdict frame_read(const uint8_t *bytes, size_t count, struct frame *frame) {
    frame->length = 0;
    if (count < HEADER_BYTES)
        return FRAME_PARTIAL;
    *frame = (struct frame){get_u32(bytes), get_u32(bytes + 8), bytes[4], bytes[5], bytes + HEADER_BYTES};
    if (frame->type >= sizeof RULES / sizeof *RULES || get_u16(bytes + 6) != 0)
        return FRAME_BAD;
    const struct rule *rule = &RULES[frame->type];
    if (!rule->allowed || rule->on_link != (frame->channel == 0) || frame->arg < rule->arg_min ||
        frame->arg > rule->arg_max || frame->length < rule->length_min || frame->length > rule->length_max)
        return FRAME_BAD;
    return count - HEADER_BYTES < frame->length ? FRAME_PARTIAL : FRAME_WHOLE;
}

bool hello_read(const struct frame *frame, struct host_hello *hello) {
    *hello = (struct host_hello){get_u16(frame->body), get_u32(frame->body + 4), get_u32(frame->body + 8)};
    return get_u16(frame->body + 2) == 0 && hello->window > 0 && hello->window <= WINDOW_BYTES_MAX;
}

struct size size_read(const uint8_t *body) {
    return (struct size){get_u16(body), get_u16(body + 2), get_u16(body + 4), get_u16(body + 6)};
}

/* The next of the strings that end with NUL; NULL when there is none any more. */
static char *next_string(char **at, const char *end) {
    char *start = *at;
    char *stop = start < end ? memchr(start, 0, (size_t)(end - start)) : NULL;
    if (stop)
        *at = stop + 1;
    return stop ? start : NULL;
}

static char **string_list(char **at, const char *end, uint32_t count) {
    if (count > (size_t)(end - *at)) /* each takes a byte at least: a count cannot ask for memory it has not sent */
        return NULL;
    char **list = calloc((size_t)count + 1, sizeof *list);
    for (uint32_t nth = 0; list && nth < count; nth++) {
        list[nth] = next_string(at, end);
        if (!list[nth]) {
            free(list);
            return NULL;
        }
    }
    return list;
}

bool spawn_read(const struct frame *frame, struct spawn *spawn) {
    const uint8_t *body = frame->body, *stop = body + frame->length;
    *spawn = (struct spawn){.flags = frame->arg, .size = size_read(body), .slave = -1};
    spawn->uid = get_u32(body + 8);
    spawn->gid = get_u32(body + 12);
    spawn->group_count = get_u16(body + 16);
    spawn->mode_count = get_u16(body + 18);
    uint32_t argc = get_u32(body + 20), envc = get_u32(body + 24);
    if (spawn->flags & GIVEN_SLAVE && !(spawn->flags & WITH_PTY))
        return false;
    if (get_u32(body + 28) != 0 || argc == 0 || spawn->group_count > GROUPS_MAX || spawn->mode_count > MODES_MAX)
        return false;
    const uint8_t *at = body + SPAWN_FIXED_BYTES;
    if ((size_t)(stop - at) < spawn->group_count * 4 + spawn->mode_count * MODE_BYTES)
        return false;
    for (size_t nth = 0; nth < spawn->group_count; nth++, at += 4)
        spawn->groups[nth] = get_u32(at);
    spawn->modes = at;
    /* The frame lies in a buffer that is ours and may be written; execve wants char *. */
    char *text = (char *)(uintptr_t)(at + spawn->mode_count * MODE_BYTES);
    const char *end = (const char *)stop;
    spawn->directory = next_string(&text, end);
    spawn->program = next_string(&text, end);
    if (!spawn->directory || !spawn->program)
        return false;
    spawn->argv = string_list(&text, end, argc);
    spawn->envp = spawn->argv ? string_list(&text, end, envc) : NULL;
    if (spawn->envp && text == end)
        return true;
    spawn_free(spawn);
    return false;
}

void spawn_free(struct spawn *spawn) {
    free(spawn->argv);
    free(spawn->envp);
    spawn->argv = spawn->envp = NULL;
}

/* The bytes that can be put now; what is unsent is moved to the front when that makes more room than there is. */
size_t outbox_room(struct outbox *box) {
    if (box->start > 0 && box->capacity - box->end < box->start) {
        memmove(box->bytes, box->bytes + box->start, box->end - box->start);
        box->end -= box->start;
        box->start = 0;
    }
    return box->capacity - box->end;
}

void outbox_sent(struct outbox *box, size_t count) {
    box->start += count;
    if (box->start == box->end)
        box->start = box->end = 0;
}

void put_header(uint8_t *at, uint32_t length, uint8_t type, uint8_t arg, uint32_t channel) {
    set_u32(at, length);
    at[4] = type;
    at[5] = arg;
    set_u16(at + 6, 0);
    set_u32(at + 8, channel);
}

void put_frame(struct outbox *box, uint8_t type, uint8_t arg, uint32_t channel, const uint8_t *body, uint32_t length) {
    put_header(box->bytes + box->end, length, type, arg, channel);
    if (length > 0)
        memcpy(box->bytes + box->end + HEADER_BYTES, body, length);
    box->end += HEADER_BYTES + length;
}

void put_empty(struct outbox *box, uint8_t type, uint8_t arg, uint32_t channel) {
    put_frame(box, type, arg, channel, NULL, 0);
}

void put_number(struct outbox *box, uint8_t type, uint8_t arg, uint32_t channel, uint32_t number) {
    uint8_t body[4];
    set_u32(body, number);
    put_frame(box, type, arg, channel, body, sizeof body);
}

void put_hello(struct outbox *box, uint32_t window, uint32_t channels_max, const char *token, size_t token_bytes) {
    uint8_t body[12 + TOKEN_BYTES_MAX] = {0};
    set_u16(body, VERSION);
    set_u32(body + 4, window);
    set_u32(body + 8, channels_max);
    if (token_bytes > 0)
        memcpy(body + 12, token, token_bytes);
    put_frame(box, HELLO, 0, 0, body, (uint32_t)(12 + token_bytes));
}
