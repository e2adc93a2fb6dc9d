/* The resident mode: one link to the host, many programs. */
#ifndef MOORAGE_SERVE_H
#define MOORAGE_SERVE_H

int serve(char **args);

#endif
