/* A tar on standard input, compressed or not. It can be read only once, from front to back, so that items hold their
 * bytes. A tar inside the tar, or a folder, names the class of its images; key.jpg with key.cls is a webdataset sample.
 * The classes must be given (--classes-from): labels are positions among all class ids in order, and a stream shows the
 * last id only at its end.
 *
 * To shuffle, up to WINDOW_ITEMS items or WINDOW_BYTES are held. The next item is drawn from them at random, and its
 * place is filled from the stream. The order depends on the stream and the seed only. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/rng.h"
#include "ingest/sources/archive/tar_stream_private.h"
#include "ingest/sources/archive/webdataset_private.h"
#include "ingest/sources/source_private.h"

#define WINDOW_ITEMS 4096u
#define WINDOW_BYTES ((uint64_t)128 << 20)

typedef struct {
    an_source source; /* must be first: pointers to the two are cast into each other */
    an_tar_stream *tar;
    an_buffer class_id; /* that the folder or inner tar of the last member names */
    an_item sample;     /* webdataset: what has been read of the current key */
    an_buffer sample_class;
    bool has_image, has_class;
    bool shuffle, ended;
    an_rng rng;
    an_item *window;
    uint32_t held;
    uint64_t held_bytes;
} stream_source;

static void stream_free(an_source *source)
{
    stream_source *s = (stream_source *)source;
    an_tar_stream_free(s->tar);
    for (uint32_t i = 0; s->window && i < WINDOW_ITEMS; i++)
        an_item_free(&s->window[i]);
    free(s->window);
    an_buffer_free(&s->class_id);
    an_buffer_free(&s->sample_class);
    an_item_free(&s->sample);
    free(s);
}

static int set_text(an_buffer *buffer, const char *text, size_t length)
{
    buffer->size = 0;
    return an_buffer_printf(buffer, "%.*s", (int)length, text);
}

/* --- items ----------------------------------------------------------------------------------------------------- */

static int label_of(const stream_source *s, const char *class_id, uint32_t *label)
{
    char *end;
    if (!an_classes_find(&s->source.classes, class_id, label))
        return AN_OK;
    unsigned long number = strtoul(class_id, &end, 10);
    *label = (uint32_t)number;
    if (end != class_id && !*end && number < s->source.classes.count)
        return AN_OK;
    return an_error(AN_EINVAL, "class '%s' is not among the %u given classes", class_id, s->source.classes.count);
}

/* Set class_id to the class that a member's place names: the inner tar, else the innermost folder, else "". */
static int class_of_place(stream_source *s, const char *name)
{
    const char *end = strrchr(name, '/'), *start = end;
    const char *inner = an_tar_stream_inner(s->tar);
    if (inner)
        return set_text(&s->class_id, inner, strlen(inner));
    while (start && start > name && start[-1] != '/')
        start--;
    if (!end || (end - start == 1 && *start == '.'))
        return set_text(&s->class_id, "", 0);
    return set_text(&s->class_id, start, (size_t)(end - start));
}

static int placed_item(stream_source *s, const char *name, int64_t size, an_item *item)
{
    item->name.size = 0;
    const char *inner = an_tar_stream_inner(s->tar);
    int rc = inner ? an_buffer_printf(&item->name, "%s/%s", inner, name) : an_buffer_printf(&item->name, "%s", name);
    if (!rc)
        rc = label_of(s, (const char *)s->class_id.data, &item->label);
    return rc ? rc : an_tar_stream_read(s->tar, name, size, &item->bytes);
}

/* Add a member to the webdataset sample that has its key. */
static int add_to_sample(stream_source *s, const char *name, int64_t size)
{
    if (s->sample.name.size && !an_webdataset_same_key((const char *)s->sample.name.data, name)) {
        if (s->has_image && !s->has_class)
            return an_error(AN_ECORRUPT, "'%s' has no .cls beside it", (const char *)s->sample.name.data);
        s->has_image = s->has_class = false;
    }
    bool image = an_webdataset_is_image(name);
    int rc = image || !s->has_image ? set_text(&s->sample.name, name, strlen(name)) : AN_OK;
    if (!rc && image)
        rc = an_tar_stream_read(s->tar, name, size, &s->sample.bytes);
    else if (!rc && an_webdataset_is_class(name))
        rc = an_tar_stream_read(s->tar, name, size, &s->sample_class);
    s->has_image |= image;
    s->has_class |= an_webdataset_is_class(name);
    return rc;
}

static void swap_items(an_item *a, an_item *b)
{
    an_item swapped = *a;
    *a = *b;
    *b = swapped;
}

static int finish_sample(stream_source *s, an_item *item)
{
    const char *class_id;
    int rc = an_webdataset_class((char *)s->sample_class.data, &class_id);
    if (!rc)
        rc = label_of(s, class_id, &s->sample.label);
    swap_items(&s->sample, item);
    s->has_image = s->has_class = false;
    s->sample.name.size = 0;
    return rc;
}

/* Read the next member. It is an item of its own if its place names a class, otherwise a part of a webdataset sample.
 * AN_AGAIN if that sample is not complete yet. */
static int take_member(stream_source *s, an_item *item)
{
    const char *name;
    int64_t size;
    int rc = an_tar_stream_next(s->tar, &name, &size);
    if (rc == AN_END && s->has_image)
        return an_error(AN_ECORRUPT, "'%s' has no .cls beside it", (const char *)s->sample.name.data);
    if (!rc)
        rc = class_of_place(s, name);
    if (rc)
        return rc;
    if (s->class_id.size)
        return placed_item(s, name, size, item);
    rc = add_to_sample(s, name, size);
    if (rc)
        return rc;
    return s->has_image && s->has_class ? finish_sample(s, item) : AN_AGAIN;
}

static int read_item(stream_source *s, an_item *item)
{
    int rc = AN_AGAIN;
    while (rc == AN_AGAIN)
        rc = take_member(s, item);
    item->kind = AN_ITEM_FILE;
    item->size = item->bytes.size;
    item->path.size = 0;
    item->fd = -1;
    return rc;
}

/* --- window ---------------------------------------------------------------------------------------------------- */

static int fill_window(stream_source *s)
{
    while (!s->ended && s->held < WINDOW_ITEMS && (s->held_bytes < WINDOW_BYTES || !s->held)) {
        int rc = read_item(s, &s->window[s->held]);
        s->ended = rc == AN_END;
        if (rc < 0)
            return rc;
        if (!rc)
            s->held_bytes += s->window[s->held++].size;
    }
    return s->held ? AN_OK : AN_END;
}

static int stream_next(an_source *source, an_item *item)
{
    stream_source *s = (stream_source *)source;
    if (!s->shuffle)
        return read_item(s, item);
    int rc = fill_window(s);
    if (rc)
        return rc;
    uint32_t drawn = an_rng_below(&s->rng, s->held);
    s->held_bytes -= s->window[drawn].size;
    swap_items(&s->window[drawn], &s->window[--s->held]);
    swap_items(&s->window[s->held], item);
    return AN_OK;
}

static int start(stream_source *s, const an_source_options *options)
{
    if (!options->classes)
        return an_error(AN_EINVAL, "reading from standard input needs --classes-from: labels cannot wait for its end");
    s->shuffle = options->shuffle;
    s->rng = an_rng_make(options->seed, AN_RNG_INGEST, 0, 0);
    s->window = calloc(WINDOW_ITEMS, sizeof(*s->window));
    if (!s->window)
        return an_error(AN_ENOMEM, "out of memory for a stream");
    int rc = an_tar_stream_open(&s->tar, STDIN_FILENO);
    return rc ? rc : an_classes_copy(&s->source.classes, options->classes);
}

static int open_stream(an_source **out, const an_source_options *options)
{
    if (strcmp(options->path, "-") != 0)
        return an_error(AN_EINVAL, "a source of the kind stream is given as '-', not '%s'", options->path);
    static const an_source_operations operations = {stream_next, NULL, stream_free};
    stream_source *s = calloc(1, sizeof(*s));
    if (!s)
        return an_error(AN_ENOMEM, "out of memory for a stream");
    s->source.operations = &operations;
    s->source.kind = "stream";
    int rc = start(s, options);
    if (rc)
        an_source_free(&s->source);
    else
        *out = &s->source;
    return rc;
}

static bool matches(const an_source_probe *found)
{
    return found->standard_input;
}

const an_source_kind an_source_stream = {
    .name = "stream",
    .description = "-: a tar on standard input, compressed or not",
    .matches = matches,
    .open = open_stream,
};
