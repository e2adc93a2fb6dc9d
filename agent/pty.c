#include "pty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "text.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441 /* the slave by its master, whatever is mounted on /dev/pts (Linux 4.13) */
#endif

/* The modes of RFC 4254 section 8: where each lives in a termios. Opcodes that Linux has nothing for are left out. */
enum field { CHARACTER, INPUT, LOCAL, OUTPUT, CONTROL };
static const struct {
    uint8_t opcode, field;
    tcflag_t bits; /* of a character: its index */
} MODES[] = {
    {1, CHARACTER, VINTR},   {2, CHARACTER, VQUIT},    {3, CHARACTER, VERASE},   {4, CHARACTER, VKILL},
    {5, CHARACTER, VEOF},    {6, CHARACTER, VEOL},     {7, CHARACTER, VEOL2},    {8, CHARACTER, VSTART},
    {9, CHARACTER, VSTOP},   {10, CHARACTER, VSUSP},   {12, CHARACTER, VREPRINT}, {13, CHARACTER, VWERASE},
    {14, CHARACTER, VLNEXT}, {18, CHARACTER, VDISCARD},
    {30, INPUT, IGNPAR},     {31, INPUT, PARMRK},      {32, INPUT, INPCK},       {33, INPUT, ISTRIP},
    {34, INPUT, INLCR},      {35, INPUT, IGNCR},       {36, INPUT, ICRNL},       {37, INPUT, IUCLC},
    {38, INPUT, IXON},       {39, INPUT, IXANY},       {40, INPUT, IXOFF},       {41, INPUT, IMAXBEL},
    {42, INPUT, IUTF8},
    {50, LOCAL, ISIG},       {51, LOCAL, ICANON},      {52, LOCAL, XCASE},       {53, LOCAL, ECHO},
    {54, LOCAL, ECHOE},      {55, LOCAL, ECHOK},       {56, LOCAL, ECHONL},      {57, LOCAL, NOFLSH},
    {58, LOCAL, TOSTOP},     {59, LOCAL, IEXTEN},      {60, LOCAL, ECHOCTL},     {61, LOCAL, ECHOKE},
    {62, LOCAL, PENDIN},
    {70, OUTPUT, OPOST},     {71, OUTPUT, OLCUC},      {72, OUTPUT, ONLCR},      {73, OUTPUT, OCRNL},
    {74, OUTPUT, ONOCR},     {75, OUTPUT, ONLRET},
    {92, CONTROL, PARENB},   {93, CONTROL, PARODD},
};
enum { CS7_OPCODE = 90, CS8_OPCODE = 91, NO_CHARACTER = 255 };

static void set_bits(tcflag_t *flags, tcflag_t bits, bool on) {
    *flags = on ? *flags | bits : *flags & ~bits;
}

static void apply_mode(struct termios *settings, uint8_t opcode, uint32_t value) {
    if ((opcode == CS7_OPCODE || opcode == CS8_OPCODE) && value != 0) {
        set_bits(&settings->c_cflag, CSIZE, false);
        set_bits(&settings->c_cflag, opcode == CS7_OPCODE ? CS7 : CS8, true);
    }
    for (size_t nth = 0; nth < sizeof MODES / sizeof *MODES; nth++) {
        if (MODES[nth].opcode != opcode)
            continue;
        tcflag_t *fields[] = {NULL, &settings->c_iflag, &settings->c_lflag, &settings->c_oflag, &settings->c_cflag};
        if (MODES[nth].field == CHARACTER)
            settings->c_cc[MODES[nth].bits] = value == NO_CHARACTER ? _POSIX_VDISABLE : (cc_t)value;
        else
            set_bits(fields[MODES[nth].field], MODES[nth].bits, value != 0);
    }
}

static int open_slave(int master) {
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave >= 0)
        return slave;
    unsigned number;
    char path[40];
    if (ioctl(master, TIOCGPTN, &number) < 0)
        return -1;
    join(path, sizeof path, "/dev/pts/", digits_of(number).text, NULL);
    return open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static bool open_both(struct pty *pty) {
    int unlocked = 0;
    pty->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (pty->master < 0 || ioctl(pty->master, TIOCSPTLCK, &unlocked) < 0)
        return false;
    pty->slave = open_slave(pty->master);
    return pty->slave >= 0;
}

static bool set_up(const struct pty *pty, const struct spawn *spawn) {
    struct termios settings;
    if (tcgetattr(pty->slave, &settings) < 0)
        return false;
    for (size_t nth = 0; nth < spawn->mode_count; nth++)
        apply_mode(&settings, spawn->modes[nth * MODE_BYTES], get_u32(spawn->modes + nth * MODE_BYTES + 1));
    if (tcsetattr(pty->slave, TCSANOW, &settings) < 0)
        return false;
    pty_resize(pty->slave, &spawn->size);
    /* As its owner the program's user may open the terminal again by its name. What is refused here is no failure. */
    return !(spawn->flags & WITH_USER) || fchown(pty->slave, spawn->uid, (gid_t)-1) == 0 || errno == EPERM;
}

bool pty_open(struct pty *pty, const struct spawn *spawn) {
    *pty = (struct pty){-1, spawn->slave};
    if ((pty->slave >= 0 || open_both(pty)) && set_up(pty, spawn))
        return true;
    int why = errno;
    if (pty->master >= 0)
        close(pty->master);
    if (pty->slave >= 0)
        close(pty->slave);
    errno = why;
    return false;
}

void pty_resize(int end, const struct size *size) {
    struct winsize window = {size->rows, size->columns, size->x_pixels, size->y_pixels};
    ioctl(end, TIOCSWINSZ, &window);
}
