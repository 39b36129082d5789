/* Text and bytes inside HTML. */
#ifndef AN_TOOLS_SHOW_CANVAS_HTML_H
#define AN_TOOLS_SHOW_CANVAS_HTML_H

#include "base/buffer.h"

/* Escaped for elements and quoted attributes; shown as base/text/utf8.h says, but for newlines and tabs. */
int an_html_text(an_buffer *out, const char *text);
int an_html_base64(an_buffer *out, const an_buffer *bytes);

#endif
