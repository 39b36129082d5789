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
