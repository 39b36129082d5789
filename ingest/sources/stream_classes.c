/* Which class the members of a stream have, and whether they are items at all. stream.c says how. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/sources/archive/members_private.h"
#include "ingest/sources/stream_private.h"

#define HELD_MAX 64u                         /* members of one key that are held */
#define HELD_BYTES_MAX ((uint64_t)128 << 20) /* after that, those that are held lose their bytes */
#define WAITING_MAX 1000u /* members without a class, before anything shows where classes come from */

/* --- items ----------------------------------------------------------------------------------------------------- */

/* numbers: may the class be the number of a given one? */
static int label_of(const an_stream_source *s, const char *class_id, bool numbers, uint32_t *label)
{
    char *end;
    if (!an_classes_find(&s->source.classes, class_id, label))
        return AN_OK;
    unsigned long number = strtoul(class_id, &end, 10);
    *label = (uint32_t)number;
    if (numbers && end != class_id && !*end && number < s->source.classes.count)
        return AN_OK;
    return an_error(AN_ECORRUPT, "class '%s' is not among the %u given classes", class_id, s->source.classes.count);
}

/* Add the item that *item is to the list; *item gets an unused one. reason: why it is refused, or NULL. */
static int put(an_item_list *list, an_item *item, const char *reason)
{
    item->refusal.size = 0;
    if (reason)
        item->bytes.size = 0;
    int rc = reason ? an_buffer_printf(&item->refusal, "%s", reason) : AN_OK;
    return rc ? rc : an_item_list_push(list, item);
}

static int refuse(an_stream_source *s, an_item *item, const char *reason)
{
    item->label = 0;
    return put(&s->ready, item, reason);
}

static int accept(an_stream_source *s, an_item *item)
{
    s->images[item->label]++;
    return put(&s->ready, item, NULL);
}

/* --- classes from folders -------------------------------------------------------------------------------------- */

/* The class of the item's folder becomes its label. AN_END: it lies in no class folder. */
static int label_by_folder(an_stream_source *s, an_item *item)
{
    const char *start;
    size_t length;
    int rc = an_place_class((const char *)s->base.data, (const char *)item->name.data, &start, &length);
    if (rc)
        return rc;
    s->class_id.size = 0;
    rc = an_buffer_printf(&s->class_id, "%.*s", (int)length, start);
    return rc ? rc : label_of(s, (const char *)s->class_id.data, false, &item->label);
}

/* Make an item of a member in AN_STREAM_FOLDERS. If it is refused already, refusal says why. */
static int place(an_stream_source *s, an_item *item)
{
    bool before = false;
    const char *name = (const char *)item->name.data;
    int rc = label_by_folder(s, item);
    if (rc == AN_END && item->refusal.size) /* a link may have stood for a class */
        return an_item_list_push(&s->ready, item);
    if (rc == AN_END)
        return an_place_is_image(name) ? refuse(s, item, AN_PLACE_BESIDE) : AN_OK;
    if (rc)
        return rc;
    if (item->refusal.size)
        return an_item_list_push(&s->ready, item);
    rc = an_seen_add(&s->paths, name, item->name.size, &before);
    if (rc)
        return rc;
    return before ? refuse(s, item, AN_MEMBERS_REPEATED) : accept(s, item);
}

/* --- webdataset ------------------------------------------------------------------------------------------------ */

static void swap_buffers(an_buffer *a, an_buffer *b)
{
    an_buffer swapped = *a;
    *a = *b;
    *b = swapped;
}

static int finish_labelled(an_stream_source *s)
{
    const char *class_id;
    const char *reason = an_webdataset_class((char *)s->class_text.data, s->class_text.size, &class_id);
    if (reason)
        return refuse(s, &s->image, reason);
    int rc = label_of(s, class_id, true, &s->image.label);
    return rc ? rc : accept(s, &s->image);
}

static int finish_sample(an_stream_source *s)
{
    const char *reason;
    bool image = s->sample.image;
    int rc = an_sample_finish(&s->sample, &reason);
    if (rc == AN_END)
        return AN_OK;
    if (rc == AN_AGAIN && !image) { /* the .cls stands for the sample */
        s->image.name.size = 0;
        s->image.size = s->class_text.size;
        int name_rc = an_buffer_printf(&s->image.name, "%s", (const char *)s->sample.path.data);
        return name_rc ? name_rc : refuse(s, &s->image, reason);
    }
    if (rc == AN_AGAIN)
        return refuse(s, &s->image, reason);
    return rc ? rc : finish_labelled(s);
}

static int add_to_sample(an_stream_source *s, an_item *item)
{
    an_sample_role role;
    const char *name = (const char *)item->name.data;
    if (item->refusal.size)
        return an_item_list_push(&s->ready, item);
    int rc = an_sample_add(&s->sample, name, &role);
    if (!rc && role == AN_SAMPLE_NEXT) {
        rc = finish_sample(s);
        if (!rc)
            rc = an_sample_add(&s->sample, name, &role);
    }
    if (rc)
        return rc;
    if (role == AN_SAMPLE_IMAGE)
        an_item_swap(&s->image, item);
    else if (role == AN_SAMPLE_CLASS)
        swap_buffers(&s->class_text, &item->bytes);
    return role == AN_SAMPLE_SECOND ? refuse(s, item, AN_WEBDATASET_SECOND) : AN_OK;
}

/* --- finding out ----------------------------------------------------------------------------------------------- */

static int no_class(an_stream_source *s)
{
    const char *name = (const char *)s->waiting.items[s->waiting.first].name.data;
    if (!strchr(name, '/'))
        return an_error(AN_ECORRUPT, "'%s' has no .cls beside it, and lies in no folder that could be its class", name);
    return an_error(AN_ECORRUPT, "class '%.*s' is not among the %u given classes: none of them is a folder of '%s'",
                    (int)strcspn(name, "/"), name, s->source.classes.count, name);
}

static int flush(an_stream_source *s, an_item_list *list)
{
    an_item item = {0};
    int rc = AN_OK;
    while (!rc && an_item_list_pop(list, &item))
        rc = s->mode == AN_STREAM_FOLDERS ? place(s, &item) : add_to_sample(s, &item);
    an_item_free(&item);
    return rc;
}

static int decide(an_stream_source *s, an_stream_mode found)
{
    s->mode = found;
    int rc = flush(s, &s->waiting);
    if (!rc && found == AN_STREAM_SAMPLES) /* those that waited have no bytes: no sample may go on with them */
        rc = finish_sample(s);
    return rc ? rc : flush(s, &s->held);
}

/* The members that are held have no .cls. Is one of their folders a class? Else they wait. */
static int settle(an_stream_source *s)
{
    an_item item = {0};
    s->held_bytes = 0;
    if (!an_item_list_count(&s->held))
        return AN_OK;
    const char *name = (const char *)s->held.items[s->held.first].name.data;
    int rc = an_place_learn(&s->base, name, s->boundary, &s->source.classes);
    if (!rc)
        return decide(s, AN_STREAM_FOLDERS);
    rc = rc == AN_END ? AN_OK : rc;
    while (!rc && an_item_list_pop(&s->held, &item)) {
        an_buffer_free(&item.bytes);
        rc = an_item_list_push(&s->waiting, &item);
    }
    an_item_free(&item);
    if (!rc && an_item_list_count(&s->waiting) > WAITING_MAX)
        rc = no_class(s);
    return rc;
}

static int hold(an_stream_source *s, an_item *item, size_t boundary)
{
    uint32_t held = an_item_list_count(&s->held);
    uint64_t bytes = item->refusal.size ? 0 : item->size;
    const char *name = (const char *)item->name.data;
    const char *first = held ? (const char *)s->held.items[s->held.first].name.data : NULL;
    int rc = AN_OK;
    if (an_webdataset_is_class(name))
        rc = decide(s, AN_STREAM_SAMPLES);
    else if (held == HELD_MAX || s->held_bytes + bytes > HELD_BYTES_MAX ||
             (held && !an_webdataset_same_key(first, name)))
        rc = settle(s);
    if (rc)
        return rc;
    if (s->mode != AN_STREAM_UNKNOWN)
        return an_stream_add(s, item, boundary);
    s->boundary = boundary;
    s->held_bytes += bytes;
    return an_item_list_push(&s->held, item);
}

int an_stream_add(an_stream_source *s, an_item *item, size_t boundary)
{
    const char *name = (const char *)item->name.data;
    if (s->mode == AN_STREAM_UNKNOWN)
        return hold(s, item, boundary);
    if (s->mode == AN_STREAM_SAMPLES)
        return add_to_sample(s, item);
    if (an_webdataset_is_class(name))
        return an_error(AN_ECORRUPT,
                        "'%s' would make a webdataset of a tar whose first images have no .cls: give the tar as a file",
                        name);
    return place(s, item);
}

int an_stream_finish(an_stream_source *s)
{
    int rc = s->mode == AN_STREAM_UNKNOWN ? settle(s) : AN_OK;
    if (!rc && s->mode == AN_STREAM_UNKNOWN && an_item_list_count(&s->waiting))
        rc = no_class(s);
    return !rc && s->mode == AN_STREAM_SAMPLES ? finish_sample(s) : rc;
}
