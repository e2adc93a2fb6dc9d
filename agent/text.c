#include "text.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

bool join(char *into, size_t size, ...) {
    va_list parts;
    size_t at = 0;
    bool fits = true;
    va_start(parts, size);
    for (const char *part; (part = va_arg(parts, const char *));) {
        size_t length = strlen(part);
        if (length >= size - at) {
            fits = false;
            break;
        }
        memcpy(into + at, part, length);
        at += length;
    }
    va_end(parts);
    into[at] = 0;
    return fits;
}

void say(int fd, ...) {
    va_list parts;
    va_start(parts, fd);
    for (const char *part; (part = va_arg(parts, const char *));)
        (void)!write(fd, part, strlen(part));
    va_end(parts);
}

long number_in(const char *text) {
    long number = 0;
    text += *text == '+';
    if (*text == 0)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        number = number > (LONG_MAX - 9) / 10 ? number :  number * 10 + (*text - '0');
    }
    return number;
}

struct digits digits_of(unsigned long number) {
    struct digits digits = {{0}};
    char *at = digits.text + sizeof digits.text - 1;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    memmove(digits.text, at, strlen(at) + 1);
    return digits;
}
