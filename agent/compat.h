/* The command line of ContainerSSH's agent; the answers are exit codes (README.md has the table). */
#ifndef MOORAGE_COMPAT_H
#define MOORAGE_COMPAT_H

/* `args` is what follows the mode, ended by NULL. */
int console(char **args);
int send_signal(char **args);
int wait_signal(char **args);
int write_file(char **args);

/* Say what is wrong on stderr and the usage on stdout. Gives 1, the code for it. */
int usage(const char *problem, const char *about);

#endif
