#include "base/program/fonts.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void an_fonts_install(void)
{
    static const char beside[] = "/share/an/fonts/fonts.conf";
    char path[PATH_MAX + sizeof beside];
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX);
    if (size <= 0 || size >= PATH_MAX)
        return;
    path[size] = '\0';
    for (int level = 0; level < 2; level++) { /* "/opt/an/bin/an-show" to "/opt/an" */
        char *slash = strrchr(path, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
    strcat(path, beside);
    if (access(path, R_OK) == 0)
        (void)setenv("FONTCONFIG_FILE", path, 0); /* if it fails, drawing says that there is no font */
}
