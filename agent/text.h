/* The little that is needed of text. The C library's printf and scanf would be a third of the program. */
#ifndef MOORAGE_TEXT_H
#define MOORAGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Join the parts, the last argument being NULL. False: they do not fit. */
bool join(char *into, size_t size, ...);

/* Write the parts, the last argument being NULL, as far as they can be written. */
void say(int fd, ...);

/* A number that is nothing but digits (one sign + before them at most), or -1. */
long number_in(const char *text);

/* A positive number as text. */
struct digits {
    char text[24];
};
struct digits digits_of(unsigned long number);

#endif
