#include "train/state/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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

struct json_t *an_text_json(const char *bytes, size_t length)
{
    char *text = an_text_escape(bytes, length);
    json_t *string = text ? json_string(text) : NULL;
    free(text);
    return string;
}
