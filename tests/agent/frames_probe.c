/* What agent/frames.c makes of bytes, as lines of text; and the frames that the agent sends, as hex. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"

static void print_hex(const uint8_t *bytes, size_t count) {
    for (size_t nth = 0; nth < count; nth++)
        printf("%02x", bytes[nth]);
}

static void print_strings(const char *name, char **list) {
    printf(" %s=", name);
    for (size_t nth = 0; list[nth]; nth++)
        printf("%s%s", nth ? "," : "", list[nth]);
}

static void print_size(struct size size) {
    printf(" rows=%u columns=%u x=%u y=%u", size.rows, size.columns, size.x_pixels, size.y_pixels);
}

static bool print_spawn(const struct frame *frame) {
    struct spawn spawn;
    if (!spawn_read(frame, &spawn))
        return false;
    printf("SPAWN channel=%u flags=%u", frame->channel, spawn.flags);
    print_size(spawn.size);
    printf(" uid=%u gid=%u groups=", spawn.uid, spawn.gid);
    for (size_t nth = 0; nth < spawn.group_count; nth++)
        printf("%s%u", nth ? "," : "", spawn.groups[nth]);
    printf(" modes=");
    for (size_t nth = 0; nth < spawn.mode_count; nth++)
        printf("%s%u:%u", nth ? "," : "", spawn.modes[nth * MODE_BYTES], get_u32(spawn.modes + nth * MODE_BYTES + 1));
    printf(" directory=%s program=%s", spawn.directory, spawn.program);
    print_strings("argv", spawn.argv);
    print_strings("env", spawn.envp);
    spawn_free(&spawn);
    return true;
}

static bool print_frame(const struct frame *frame) {
    struct host_hello hello;
    switch (frame->type) {
    case HELLO:
        if (!hello_read(frame, &hello) || hello.version != VERSION)
            return false;
        printf("HELLO channel=0 window=%u heartbeat_ms=%u", hello.window, hello.heartbeat_ms);
        return true;
    case PING:
        printf("PING channel=0 mark=");
        print_hex(frame->body, frame->length);
        return true;
    case SPAWN:
        return print_spawn(frame);
    case DATA:
        printf("DATA channel=%u stream=%u bytes=", frame->channel, frame->arg);
        print_hex(frame->body, frame->length);
        return true;
    case END:
        printf("EOF channel=%u stream=%u", frame->channel, frame->arg);
        return true;
    case CREDIT:
        if (get_u32(frame->body) == 0 || get_u32(frame->body) > WINDOW_BYTES_MAX)
            return false; /* in the agent: channel.c */
        printf("CREDIT channel=%u stream=%u bytes=%u", frame->channel, frame->arg, get_u32(frame->body));
        return true;
    case RESIZE:
        printf("RESIZE channel=%u", frame->channel);
        print_size(size_read(frame->body));
        return true;
    case SIGNAL:
        printf("SIGNAL channel=%u number=%u", frame->channel, frame->arg);
        return true;
    default:
        printf("CLOSE channel=%u", frame->channel);
        return true;
    }
}

/* One line of hex in, one line out. The bytes lie at the end of their memory, so that a read too far is seen. */
static void probe(const char *line, size_t count) {
    uint8_t *bytes = malloc(count ? count : 1);
    struct frame frame;
    for (size_t nth = 0; nth < count; nth++) {
        unsigned value;
        sscanf(line + 2 * nth, "%2x", &value);
        bytes[nth] = (uint8_t)value;
    }
    enum verdict verdict = frame_read(bytes, count, &frame);
    if (verdict == FRAME_PARTIAL)
        printf("PARTIAL");
    else if (verdict == FRAME_BAD || !print_frame(&frame))
        printf("BAD");
    puts("");
    free(bytes);
}

static void emit(void) {
    static uint8_t bytes[4096];
    struct outbox box = {bytes, sizeof bytes, 0, 0};
    size_t at = 0;
    for (int nth = 0; nth < 10; nth++) {
        switch (nth) {
        case 0: put_hello(&box, 1048576, 1024, "secret", 6); break;
        case 1: put_frame(&box, PONG, 0, 0, (const uint8_t *)"\1\2\3\4\5\6\7\10", 8); break;
        case 2: put_number(&box, SPAWNED, 0, 4294967295, 17); break;
        case 3: put_number(&box, ERR, AT_EXEC, 2, 2); break;
        case 4: put_number(&box, ERR, AT_PROTOCOL, 0, 71); break;
        case 5: put_frame(&box, DATA, STREAM_ERR, 1, (const uint8_t *)"oops", 4); break;
        case 6: put_empty(&box, END, STREAM_OUT, 1); break;
        case 7: put_number(&box, CREDIT, STREAM_IN, 1, 262144); break;
        case 8: put_number(&box, EXIT, BY_SIGNAL_WITH_CORE, 1, 11); break;
        case 9: put_empty(&box, CLOSE, 0, 1); break;
        }
        print_hex(bytes + at, box.end - at);
        puts("");
        at = box.end;
    }
}

int main(int argc, char **argv) {
    static char line[4 * 1024 * 1024];
    if (argc > 1 && strcmp(argv[1], "emit") == 0)
        emit();
    else
        while (fgets(line, sizeof line, stdin))
            probe(line, strcspn(line, "\n") / 2);
    return 0;
}
