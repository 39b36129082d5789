/* Any bytes as strings that JSON and safetensors metadata can hold, and back: base/text/utf8.h as strings of one's own.
 * Functions may be called by any thread; they fail only for lack of memory. */
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

/* A checkpoint's list of classes, as an array; NULL if it is none, or longer than any network's. */
struct json_t *an_text_json_classes(const char *text);

#endif
