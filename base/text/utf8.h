/* Text of unknown encoding (file names, messages that quote them) where UTF-8 is required.
 *
 * On Linux a name is any sequence of bytes; JSON and safetensors metadata are UTF-8. an_utf8_escape writes any bytes as
 * UTF-8 in a way that can be undone: each byte that is not part of a valid character (RFC 3629) becomes \xHH, with two
 * lower-case hexadecimal digits, and so does a backslash that would be taken for the beginning of such a sequence. All
 * other text, every ordinary path among it, stays as it is.
 *
 * Pure functions: any thread. */
#ifndef AN_BASE_TEXT_UTF8_H
#define AN_BASE_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Length of the valid character that begins at text (1 to 4 bytes, at most size), or 0 if there is none: overlong
 * forms, surrogates and code points beyond U+10FFFF are not valid. */
size_t an_utf8_character(const char *text, size_t size);

bool an_utf8_is_valid(const char *text, size_t size);

/* The largest length up to limit at which text, of size bytes, can be cut without cutting a valid character in two. */
size_t an_utf8_cut(const char *text, size_t size, size_t limit);

/* What a terminal may be shown of any bytes: every character that would control it (C0, DEL, C1, and those that change
 * the direction of text or break lines), and every byte that is part of no character, becomes \xHH for each of its
 * bytes. This is for reading: unlike what an_utf8_escape writes, it cannot be undone. */
#define AN_UTF8_SHOWN_MAX 17 /* of one character, terminator included */

/* Write the first character of text, which is not empty, into out, as it may be shown. Returns its bytes in text. */
size_t an_utf8_show_character(const char *text, size_t size, char out[AN_UTF8_SHOWN_MAX]);

/* Append text, as it may be shown, to out. out is terminated; the terminator is not counted in its size. AN_ENOMEM. */
int an_utf8_show(const char *text, size_t size, an_buffer *out);

/* The same text for a message of one line: printf("%s", an_shown_make(name).text). */
#define AN_SHOWN_MAX 1024

typedef struct {
    char text[AN_SHOWN_MAX]; /* cut between two characters where it is full */
} an_shown;

an_shown an_shown_make(const char *text);
an_shown an_shown_make_sized(const char *text, size_t size);

/* Append text, escaped, to out, or what was escaped. out is terminated; the terminator is not counted in its size.
 * AN_ENOMEM. */
int an_utf8_escape(const char *text, size_t size, an_buffer *out);
int an_utf8_unescape(const char *text, size_t size, an_buffer *out);

#endif
