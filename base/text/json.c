#include "base/text/json.h"

/* Each value but the first comes after a comma, a colon, or the bracket that opens what it lies in. */
bool an_json_within(const char *text, size_t size, size_t values)
{
    size_t found = 1;
    bool string = false;
    for (size_t i = 0; i < size && found <= values; i++) {
        char c = text[i];
        if (string && c == '\\')
            i++;
        else if (c == '"')
            string = !string;
        else if (!string)
            found += c == ',' || c == ':' || c == '[' || c == '{';
    }
    return found <= values;
}
