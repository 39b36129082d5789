#include "tools/show/canvas/html.h"

#include <glib.h>
#include <string.h>

#include "base/error.h"
#include "base/text/utf8.h"

int an_html_text(an_buffer *out, const char *text)
{
    int rc = an_buffer_printf(out, "%s", ""); /* text or not, out is terminated */
    for (size_t at = 0, size = strlen(text); at < size && !rc;) {
        char shown[AN_UTF8_SHOWN_MAX] = {text[at], 0};
        if (text[at] == '\n' || text[at] == '\t')
            at++;
        else
            at += an_utf8_show_character(text + at, size - at, shown);
        char *escaped = g_markup_escape_text(shown, -1);
        rc = an_buffer_printf(out, "%s", escaped);
        g_free(escaped);
    }
    return rc;
}

int an_html_base64(an_buffer *out, const an_buffer *bytes)
{
    char *text = g_base64_encode(bytes->data, bytes->size);
    int rc = an_buffer_printf(out, "%s", text);
    g_free(text);
    return rc;
}
