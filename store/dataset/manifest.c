#include "store/dataset/manifest_private.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static int parse(const char *manifest, json_t **out)
{
    json_error_t error;
    *out = json_loads(manifest, JSON_REJECT_DUPLICATES, &error);
    if (!*out)
        return an_error(AN_EINVAL, "a manifest is not JSON: line %d: %s", error.line, error.text);
    if (json_is_object(*out))
        return AN_OK;
    json_decref(*out);
    *out = NULL;
    return an_error(AN_EINVAL, "a manifest is not a JSON object");
}

int an_manifest_check(const char *manifest)
{
    json_t *object;
    int rc = parse(manifest, &object);
    json_decref(object);
    return rc;
}

/* The first key in byte order that `one` has and `other` lacks or has with another value; best if that comes first. */
static const char *first_difference(json_t *one, json_t *other, const char *best)
{
    const char *key;
    json_t *value;
    json_object_foreach(one, key, value)
    {
        bool differs = !json_equal(value, json_object_get(other, key));
        if (differs && (!best || strcmp(key, best) < 0))
            best = key;
    }
    return best;
}

static char *show(json_t *value)
{
    return value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : strdup("absent");
}

static int report(json_t *before, json_t *now, const char *key)
{
    char *was = show(json_object_get(before, key)), *is = show(json_object_get(now, key));
    int rc = was && is ? an_error(AN_EINVAL, "%s was %s and is %s now", key, was, is)
                       : an_error(AN_ENOMEM, "out of memory: comparing manifests");
    free(was);
    free(is);
    return rc;
}

int an_manifest_compare(const char *before, const char *now)
{
    json_t *old = NULL, *new = NULL;
    int rc = parse(before, &old);
    if (!rc)
        rc = parse(now, &new);
    if (!rc) {
        const char *key = first_difference(new, old, first_difference(old, new, NULL));
        if (key)
            rc = report(old, new, key);
    }
    json_decref(old);
    json_decref(new);
    return rc;
}

bool an_manifest_string(const char *manifest, const char *key, char *out, size_t size)
{
    json_t *object = json_loads(manifest, JSON_REJECT_DUPLICATES, NULL);
    const char *value = json_string_value(json_object_get(object, key)); /* of NULL: NULL */
    bool fits = value && strlen(value) < size;
    if (fits)
        memcpy(out, value, strlen(value) + 1);
    json_decref(object);
    return fits;
}
