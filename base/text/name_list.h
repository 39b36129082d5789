/* "jpeg, yuv420, rgb or coef": the names in a table, for messages that say what may be chosen. */
#ifndef AN_BASE_TEXT_NAME_LIST_H
#define AN_BASE_TEXT_NAME_LIST_H

#include <stddef.h>

typedef struct {
    char text[256]; /* cut off where it is full */
} an_name_list;

an_name_list an_name_list_make(size_t count, const char *(*name_at)(size_t i));

#endif
