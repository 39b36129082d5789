#include "ingest/run/again_private.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct an_again_name {
    char *name;
    uint64_t number;
    bool taken;
};

static int list_name(void *context, const char *name, const char *reason, uint64_t bytes)
{
    an_again_names *list = context;
    (void)reason, (void)bytes;
    if (list->count == list->limit)
        return AN_END;
    list->entries[list->count] = (an_again_name){strdup(name), list->count, false};
    return list->entries[list->count++].name ? AN_OK : an_error(AN_ENOMEM, "out of memory: what was set aside before");
}

static int by_name(const void *a, const void *b)
{
    const an_again_name *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

int an_again_names_list(an_again_names *out, an_writer *writer)
{
    *out = (an_again_names){.limit = an_writer_rejects(writer)};
    out->entries = calloc(out->limit + 1, sizeof(*out->entries));
    if (!out->entries)
        return an_error(AN_ENOMEM, "out of memory: what was set aside before");
    int rc = an_writer_rejects_visit(writer, list_name, out);
    if (rc < 0)
        return rc;
    qsort(out->entries, out->count, sizeof(*out->entries), by_name);
    return AN_OK;
}

void an_again_names_free(an_again_names *list)
{
    for (uint64_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
    *list = (an_again_names){0};
}

/* The first entry of this name that was not taken. A list may name a file more than once. */
static an_again_name *find(const an_again_names *list, const char *name)
{
    uint64_t low = 0, high = list->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (strcmp(list->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (low < list->count && list->entries[low].taken && strcmp(list->entries[low].name, name) == 0)
        low++;
    return low < list->count && strcmp(list->entries[low].name, name) == 0 ? &list->entries[low] : NULL;
}

bool an_again_names_has(const an_again_names *list, const char *name)
{
    return find(list, name) != NULL;
}

static int pass_items(an_again *out, const an_again_names *list, an_source *source, uint64_t passed)
{
    an_item item = {0};
    int rc = AN_OK;
    for (uint64_t i = 0; i < passed && !rc; i++) {
        rc = an_source_next(source, &item);
        an_again_name *found = rc ? NULL : find(list, (const char *)item.name.data);
        if (!found)
            continue;
        found->taken = true;
        out->items[out->count++] = (an_again_item){item, i, found->number};
        memset(&item, 0, sizeof(item)); /* its buffers have another owner now */
    }
    an_item_free(&item);
    return rc == AN_END ? an_error(AN_ECORRUPT, "the source holds fewer items than were read from it before") : rc;
}

int an_again_collect(an_again *out, an_source *source, an_writer *writer, uint64_t passed)
{
    an_again_names names;
    *out = (an_again){.items = calloc(an_writer_rejects(writer) + 1, sizeof(*out->items))};
    if (!out->items)
        return an_error(AN_ENOMEM, "out of memory: what was set aside before");
    int rc = an_again_names_list(&names, writer);
    if (!rc)
        rc = pass_items(out, &names, source, passed);
    an_again_names_free(&names);
    return rc;
}

void an_again_free(an_again *again)
{
    for (uint64_t i = 0; i < again->count; i++)
        an_item_free(&again->items[i].item);
    free(again->items);
    *again = (an_again){0};
}
