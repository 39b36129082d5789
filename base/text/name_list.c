#include "base/text/name_list.h"

#include <stdio.h>
#include <string.h>

an_name_list an_name_list_make(size_t count, const char *(*name_at)(size_t i))
{
    an_name_list list = {""};
    for (size_t i = 0; i < count; i++) {
        const char *between = i == 0 ? "" : i + 1 < count ? ", " : " or ";
        size_t used = strlen(list.text);
        (void)snprintf(list.text + used, sizeof list.text - used, "%s%s", between, name_at(i));
    }
    return list;
}

bool an_names_next(const char **rest, const char **name, size_t *length)
{
    if (!*rest)
        return false;
    *name = *rest;
    *length = strcspn(*rest, ",");
    *rest = (*rest)[*length] ? *rest + *length + 1 : NULL;
    return true;
}

bool an_names_hold(const char *names, const char *name, size_t length)
{
    const char *one;
    size_t size;
    while (an_names_next(&names, &one, &size))
        if (size == length && memcmp(one, name, length) == 0)
            return true;
    return false;
}
