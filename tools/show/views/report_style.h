/* The style sheet of a report, with the palette's colours as variables for both schemes. */
#ifndef AN_TOOLS_SHOW_VIEWS_REPORT_STYLE_H
#define AN_TOOLS_SHOW_VIEWS_REPORT_STYLE_H

#include "base/buffer.h"

int an_report_style_write(an_buffer *out);

#endif
