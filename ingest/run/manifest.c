#include "ingest/run/manifest_private.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/version.h"
#include "ingest/picture/picture.h"
#include "store/dataset/dataset.h"

typedef struct {
    char text[17];
} hex;

static hex hex_of(uint64_t value)
{
    hex out;
    snprintf(out.text, sizeof(out.text), "%016" PRIx64, value);
    return out;
}

static uint64_t identify_classes(const an_classes *classes)
{
    uint64_t hash = 0; /* each hash is the seed of the next one */
    for (uint32_t i = 0; i < classes->count; i++) {
        const char *name = classes->entries[i].name;
        hash = XXH3_64bits_withSeed(classes->entries[i].id, strlen(classes->entries[i].id) + 1, hash);
        hash = XXH3_64bits_withSeed(name ? name : "", (name ? strlen(name) : 0) + 1, hash);
    }
    return hash;
}

static const char *choice(const char *option, int value)
{
    for (const an_option *o = an_ingest_options.options; o->name || o->heading; o++)
        if (o->name && strcmp(o->name, option) == 0)
            return o->choices[value];
    return "?";
}

int an_ingest_manifest_make(const an_ingest_config *config, const an_source *source, char **out)
{
    json_t *object =
        json_pack("{ss, si, si, ss, sI, sI, ss, si, ss, si, ss, si, ss, ss, sI, sI, sb}", "program",
                  "an-ingest " AN_VERSION, "format", AN_DATASET_VERSION, "pixels", AN_PICTURE_VERSION, "source",
                  source->kind, "items", (json_int_t)source->items, "bytes", (json_int_t)source->bytes, "listing",
                  hex_of(source->identity).text, "class-count", (int)source->classes.count, "classes",
                  hex_of(identify_classes(&source->classes)).text, "size", config->size, "codec", config->codec,
                  "quality", config->quality, "subsampling", choice("subsampling", config->subsampling), "order",
                  choice("order", config->order), "seed", (json_int_t)config->seed, "max-pixels",
                  (json_int_t)config->pixels_max, "accept-truncated", config->accept_truncated);
    if (!object || json_object_set_new(object, "filter", json_string(choice("filter", config->filter)))) {
        json_decref(object);
        return an_error(AN_ENOMEM, "out of memory for the manifest");
    }
    *out = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT);
    json_decref(object);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory for the manifest");
}
