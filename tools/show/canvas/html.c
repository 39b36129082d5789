#include "tools/show/canvas/html.h"

#include <glib.h>

#include "base/error.h"

int an_html_text(an_buffer *out, const char *text)
{
    char *valid = g_utf8_make_valid(text, -1), *escaped = g_markup_escape_text(valid, -1);
    int rc = an_buffer_printf(out, "%s", escaped);
    g_free(escaped);
    g_free(valid);
    return rc;
}

int an_html_base64(an_buffer *out, const an_buffer *bytes)
{
    char *text = g_base64_encode(bytes->data, bytes->size);
    int rc = an_buffer_printf(out, "%s", text);
    g_free(text);
    return rc;
}
