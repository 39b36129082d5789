/* Lists of names: those in a table, for messages that say what may be chosen ("jpeg, yuv420, rgb or coef"), and those
 * that a user gave with commas between ("fc7,fc8"). */
#ifndef AN_BASE_TEXT_NAME_LIST_H
#define AN_BASE_TEXT_NAME_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char text[256]; /* cut off where it is full */
} an_name_list;

an_name_list an_name_list_make(size_t count, const char *(*name_at)(size_t i));

/* Take the first name off *rest, a list with commas between, and move *rest behind it. False once there is none left.
 * The name is not terminated; an empty one ("a,,b") has length 0. */
bool an_names_next(const char **rest, const char **name, size_t *length);

bool an_names_hold(const char *names, const char *name, size_t length); /* whether the list holds that name */

#endif
