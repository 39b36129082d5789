#include "ingest/run/json.h"

#include <string.h>

#include "base/text/utf8.h"

json_t *an_json_text(const char *text)
{
    an_buffer escaped = {0};
    int rc = an_utf8_escape(text, strlen(text), &escaped);
    json_t *string = rc ? NULL : json_stringn((char *)escaped.data, escaped.size);
    an_buffer_free(&escaped);
    return string;
}
