#include "train/watch/start.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "train/state/text.h"

bool an_recipe_next(const char **at, an_recipe_line *out)
{
    static const char sign[] = " = ";
    while (**at) {
        const char *line = *at;
        size_t length = strcspn(line, "\n");
        const char *equals = memmem(line, length, sign, sizeof(sign) - 1);
        *at = line + length + (line[length] ? 1 : 0);
        if (!equals)
            continue;
        const char *value = equals + sizeof(sign) - 1;
        *out = (an_recipe_line){line, value, (size_t)(equals - line), (size_t)(line + length - value)};
        return true;
    }
    return false;
}

/* Adds a text that may hold any bytes; NULL: none. */
static int add_text(json_t *object, const char *name, const char *text)
{
    return text ? json_object_set_new(object, name, an_text_json(text, strlen(text))) : 0;
}

static json_t *dataset_json(const an_start_dataset *dataset)
{
    char fingerprint[17];
    snprintf(fingerprint, sizeof(fingerprint), "%016" PRIx64, dataset->fingerprint);
    return json_pack("{s:o, s:s, s:I}", "path", an_text_json(dataset->path, strlen(dataset->path)), "fingerprint",
                     fingerprint, "images", (json_int_t)dataset->images);
}

static json_t *validation_json(const an_train_start *start)
{
    json_t *list = json_array();
    for (int i = 0; i < start->validations; i++)
        if (json_array_append_new(list, dataset_json(&start->validation[i]))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *lines_json(const char *text)
{
    json_t *list = json_array();
    for (size_t length; *text; text += length + (text[length] ? 1 : 0)) {
        length = strcspn(text, "\n");
        if (json_array_append_new(list, an_text_json(text, length))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* The values as recipe.txt has them, as texts. */
static json_t *recipe_json(const char *lines)
{
    json_t *object = json_object();
    an_recipe_line line;
    int failed = !object;
    while (!failed && an_recipe_next(&lines, &line)) {
        char name[128];
        snprintf(name, sizeof(name), "%.*s", (int)line.name_length, line.name);
        failed = json_object_set_new(object, name, an_text_json(line.value, line.value_length));
    }
    if (!failed)
        return object;
    json_decref(object);
    return NULL;
}

static int add_machine(const an_train_start *s, json_t *object)
{
    int failed = add_text(object, "processor", s->processor) | add_text(object, "devices", s->devices);
    if (*s->accelerators)
        failed |= json_object_set_new(object, "accelerators", lines_json(s->accelerators));
    failed |= add_text(object, "ranks", s->ranks);
    failed |= json_object_set_new(object, "compute_threads", json_integer(s->compute_threads));
    return failed | json_object_set_new(object, "loader_threads", json_integer(s->loader_threads));
}

static int add_data(const an_train_start *s, json_t *object)
{
    int failed = json_object_set_new(object, "training", dataset_json(&s->training));
    failed |= json_object_set_new(object, "validation", validation_json(s));
    return failed | add_text(object, "weights", s->weights) | add_text(object, "checkpoint", s->checkpoint);
}

int an_start_describe(const an_train_start *start, struct json_t *object)
{
    int failed = add_text(object, "version", start->version) | add_text(object, "commit", start->commit);
    failed |= add_machine(start, object) | add_data(start, object);
    failed |= json_object_set_new(object, "recipe", recipe_json(start->recipe));
    return failed ? an_error(AN_ENOMEM, "out of memory for the start of a run") : AN_OK;
}
