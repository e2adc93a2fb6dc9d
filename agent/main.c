/* Which of the modes is asked for. */
#include <stddef.h>
#include <string.h>

#include "compat.h"
#include "serve.h"

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(char **args);
    } MODES[] = {
        {"console", console},       {"signal", send_signal}, {"wait-signal", wait_signal},
        {"write-file", write_file}, {"serve", serve},
    };
    if (argc < 2)
        return usage("not enough parameters", NULL);
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
        usage(NULL, NULL);
        return 0;
    }
    for (size_t nth = 0; nth < sizeof MODES / sizeof *MODES; nth++)
        if (strcmp(argv[1], MODES[nth].name) == 0)
            return MODES[nth].run(argv + 2);
    return usage("invalid mode: ", argv[1]);
}
