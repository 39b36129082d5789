/* How much memory a JSON text can ask for, before a parser is given it: an object or a number takes a parser far more
 * bytes than the two or three that it takes in the text. Any thread. */
#ifndef AN_BASE_TEXT_JSON_H
#define AN_BASE_TEXT_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the text holds at most that many values, those within others included. True of any text that is no JSON and
 * in which a parser finds so by then. Strings may have any length: they take about as much memory as text. */
bool an_json_within(const char *text, size_t size, size_t values);

#endif
