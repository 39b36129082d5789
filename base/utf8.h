/* Text of unknown encoding (file names, messages that quote them) where UTF-8 is required.
 *
 * On Linux a name is any sequence of bytes; JSON is UTF-8. an_utf8_escape writes bytes as UTF-8 in a way that can be
 * undone. Valid text is unchanged, unless it holds \x. Any other text is escaped as a whole: each byte that belongs to
 * no valid character becomes \xHH (two lower-case hexadecimal digits), each backslash becomes two. So what holds \x is
 * escaped and nothing else is.
 *
 * Pure functions: any thread. */
#ifndef AN_BASE_UTF8_H
#define AN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Length of the valid character that begins at text (1 to 4 bytes, at most size), or 0 if there is none: overlong
 * forms, surrogates and code points beyond U+10FFFF are not valid. */
size_t an_utf8_character(const char *text, size_t size);

bool an_utf8_is_valid(const char *text, size_t size);

/* The largest length up to limit at which text, of size bytes, can be cut without cutting a valid character in two. */
size_t an_utf8_cut(const char *text, size_t size, size_t limit);

/* Append text to out as above. out stays terminated; the terminator is not counted in its size. AN_ENOMEM. */
int an_utf8_escape(const char *text, size_t size, an_buffer *out);

#endif
