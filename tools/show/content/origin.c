#include "tools/show/content/origin.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "train/state/text.h"

static int program_read(an_origin *o, const json_t *event)
{
    const char *version = json_string_value(json_object_get(event, "version"));
    const char *commit = json_string_value(json_object_get(event, "commit"));
    an_buffer text = {0};
    if (!version)
        return AN_OK;
    int rc = an_buffer_printf(&text, "an-train %s", version);
    if (!rc && commit)
        rc = an_buffer_printf(&text, " (commit %s)", commit);
    if (!rc)
        rc = an_buffer_append(&text, "", 1);
    o->program = (char *)text.data; /* an_origin_free frees it, also after a failure */
    return rc;
}

static int validation_read(an_origin *o, const json_t *event)
{
    const json_t *sets = json_object_get(event, "validation");
    for (size_t i = 0; i < json_array_size(sets) && o->validations < AN_ORIGIN_SETS_MAX; i++) {
        const char *path = json_string_value(json_object_get(json_array_get(sets, i), "path"));
        if (!path)
            continue;
        o->validation[o->validations] = an_text_unescape(path);
        if (!o->validation[o->validations])
            return an_error(AN_ENOMEM, "out of memory for a path");
        o->validations++;
    }
    return AN_OK;
}

int an_origin_read(an_origin *origin, const struct json_t *event)
{
    an_origin_free(origin);
    int rc = program_read(origin, event);
    return rc ? rc : validation_read(origin, event);
}

void an_origin_free(an_origin *origin)
{
    free(origin->program);
    for (int i = 0; i < origin->validations; i++)
        free(origin->validation[i]);
    *origin = (an_origin){0};
}
