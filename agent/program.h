/* Names of signals, and programs that are looked for in PATH. */
#ifndef MOORAGE_PROGRAM_H
#define MOORAGE_PROGRAM_H

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The number of a signal by its name in RFC 4254 section 6.9 (without SIG), or 0. */
int signal_number(const char *name);

/* execve, with a name that has no slash looked for in the PATH of `envp`. Returns only on failure: the errno. */
int exec_in_path(const char *program, char **argv, char **envp);

/* `base` and then `more`, where an entry of `more` replaces those of its name. NULL: no memory. */
char **merge_env(char **base, char **more);

#endif
