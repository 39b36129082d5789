/* A queue of items that keep their buffers. An item goes in and out by exchange with one that is not in use, so that
 * nothing is copied or allocated anew. One thread. */
#ifndef AN_INGEST_SOURCES_ITEM_LIST_PRIVATE_H
#define AN_INGEST_SOURCES_ITEM_LIST_PRIVATE_H

#include "ingest/sources/source.h"

typedef struct {
    an_item *items; /* those from first to end are in the queue */
    uint32_t first, end, room;
} an_item_list; /* zeros to begin with */

void an_item_swap(an_item *a, an_item *b);

/* Put *item at the end; *item becomes one that is not in use, with whatever it held last. */
int an_item_list_push(an_item_list *list, an_item *item);

/* Take the first out into *item; what that was stays in the list, not in use. false: the list is empty. */
bool an_item_list_pop(an_item_list *list, an_item *item);

uint32_t an_item_list_count(const an_item_list *list);
void an_item_list_free(an_item_list *list);

#endif
