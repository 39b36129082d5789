/* Any bytes as text that JSON can hold, and back. Paths and names on Linux are bytes; JSON and safetensors metadata are
 * UTF-8.
 *
 * Each byte that is not part of valid UTF-8 becomes "\xHH" (four characters, lower-case digits). A backslash that would
 * be mistaken for the beginning of such a sequence becomes "\x5c". All other text, in particular every ordinary path,
 * stays as it is. Functions may be called by any thread; they fail only for lack of memory. */
#ifndef AN_TRAIN_STATE_TEXT_H
#define AN_TRAIN_STATE_TEXT_H

#include <stddef.h>

struct json_t;

/* A new string, freed by the caller; NULL without memory. bytes must not hold zeros. */
char *an_text_escape(const char *bytes, size_t length);

/* What was escaped. */
char *an_text_unescape(const char *text);

/* A JSON string of the escaped bytes; NULL without memory. */
struct json_t *an_text_json(const char *bytes, size_t length);

#endif
