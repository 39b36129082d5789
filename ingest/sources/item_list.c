#include "ingest/sources/item_list_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void an_item_swap(an_item *a, an_item *b)
{
    an_item swapped = *a;
    *a = *b;
    *b = swapped;
}

static int grow(an_item_list *list)
{
    uint32_t room = list->room ? 2 * list->room : 16;
    an_item *items = realloc(list->items, room * sizeof(*items));
    if (!items)
        return an_error(AN_ENOMEM, "out of memory for %u items", room);
    memset(items + list->room, 0, (room - list->room) * sizeof(*items));
    list->items = items;
    list->room = room;
    return AN_OK;
}

int an_item_list_push(an_item_list *list, an_item *item)
{
    int rc = list->end == list->room ? grow(list) : AN_OK;
    if (rc)
        return rc;
    an_item_swap(&list->items[list->end++], item);
    return AN_OK;
}

bool an_item_list_pop(an_item_list *list, an_item *item)
{
    if (list->first == list->end)
        return false;
    an_item_swap(&list->items[list->first++], item);
    if (list->first == list->end)
        list->first = list->end = 0;
    return true;
}

uint32_t an_item_list_count(const an_item_list *list)
{
    return list->end - list->first;
}

void an_item_list_free(an_item_list *list)
{
    for (uint32_t i = 0; i < list->room; i++)
        an_item_free(&list->items[i]);
    free(list->items);
    memset(list, 0, sizeof(*list));
}
