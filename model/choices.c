#include "model/choices.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static an_choice *find(const an_choices *choices, const char *key)
{
    for (size_t i = 0; i < choices->count; i++)
        if (!strcmp(choices->items[i].key, key))
            return &choices->items[i];
    return NULL;
}

const an_choice *an_choices_find(an_choices *choices, const char *key)
{
    an_choice *found = find(choices, key);
    if (found)
        found->used = true;
    return found;
}

static int grow(an_choices *choices)
{
    if (choices->count < choices->capacity)
        return AN_OK;
    size_t capacity = choices->capacity ? 2 * choices->capacity : 64;
    an_choice *grown = realloc(choices->items, capacity * sizeof *grown);
    if (!grown)
        return an_error(AN_ENOMEM, "out of memory for the choice of kernels");
    choices->items = grown;
    choices->capacity = capacity;
    return AN_OK;
}

int an_choices_put(an_choices *choices, const an_choice *choice)
{
    if (find(choices, choice->key))
        return AN_OK;
    int rc = grow(choices);
    if (rc)
        return rc;
    an_choice made = *choice;
    made.key = strdup(choice->key);
    made.name = strdup(choice->name);
    if (!made.key || !made.name) {
        free(made.key);
        free(made.name);
        return an_error(AN_ENOMEM, "out of memory for the choice of kernels");
    }
    choices->items[choices->count++] = made;
    return AN_OK;
}

static int replace(an_choices *choices, const an_choice *choice)
{
    an_choice *found = find(choices, choice->key);
    if (!found)
        return an_choices_put(choices, choice);
    char *name = strdup(choice->name);
    if (!name)
        return an_error(AN_ENOMEM, "out of memory for the choice of kernels");
    free(found->name);
    found->name = name;
    found->microseconds = choice->microseconds;
    found->first = choice->first;
    found->used = choice->used;
    found->measured = choice->measured;
    return AN_OK;
}

int an_choices_replace(an_choices *choices, const an_choice *choice)
{
    int rc = replace(choices, choice);
    if (!rc && choice->measured && choices->told)
        choices->told(choices->context);
    return rc;
}

void an_choices_free(an_choices *choices)
{
    for (size_t i = 0; i < choices->count; i++) {
        free(choices->items[i].key);
        free(choices->items[i].name);
    }
    free(choices->items);
    *choices = (an_choices){0};
}
