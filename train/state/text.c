#include "train/state/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text/json.h"
#include "base/text/utf8.h"

/* The bytes of a buffer, or NULL if filling it failed. */
static char *taken(an_buffer *buffer, int rc)
{
    if (rc) {
        an_buffer_free(buffer);
        return NULL;
    }
    return (char *)buffer->data;
}

char *an_text_escape(const char *bytes, size_t length)
{
    an_buffer out = {0};
    return taken(&out, an_utf8_escape(bytes, length, &out));
}

char *an_text_unescape(const char *text)
{
    an_buffer out = {0};
    return taken(&out, an_utf8_unescape(text, strlen(text), &out));
}

struct json_t *an_text_json_classes(const char *text)
{
    enum { VALUES_MAX = 1 << 21 };
    json_t *list = an_json_within(text, strlen(text), VALUES_MAX) ? json_loads(text, 0, NULL) : NULL;
    if (json_is_array(list))
        return list;
    json_decref(list);
    return NULL;
}

struct json_t *an_text_json(const char *bytes, size_t length)
{
    char *text = an_text_escape(bytes, length);
    json_t *string = text ? json_string(text) : NULL;
    free(text);
    return string;
}
