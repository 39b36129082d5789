/* A tar on standard input, compressed or not. It can be read only once, from front to back, so that items hold their
 * bytes. The classes must be given (--classes-from): labels are positions among all class ids in order, and a stream
 * shows the last id only at its end.
 *
 * Where classes come from shows at the beginning. Members are held, with those that have the same webdataset key, until
 * there is a .cls (then the stream is a webdataset), or one of their folders is a given class (then the
 * folder that this one lies in holds all class folders). Members before that, which can have no class, only wait by
 * name; what they are is known then. Links cannot be followed: what they point to may have gone by.
 *
 * To shuffle, up to WINDOW_ITEMS items or WINDOW_BYTES are held. The next item is drawn from them at random, and its
 * place is filled from the stream. The order depends on the stream and the seed only. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "ingest/sources/archive/note.h"
#include "ingest/sources/source_private.h"
#include "ingest/sources/stream_private.h"

#define WINDOW_ITEMS 4096u
#define WINDOW_BYTES ((uint64_t)128 << 20)

static void stream_free(an_source *source)
{
    an_stream_source *s = (an_stream_source *)source;
    an_tar_stream_free(s->tar);
    for (uint32_t i = 0; s->window && i < WINDOW_ITEMS; i++)
        an_item_free(&s->window[i]);
    free(s->window);
    free(s->images);
    an_item_list_free(&s->ready);
    an_item_list_free(&s->held);
    an_item_list_free(&s->waiting);
    an_buffer_free(&s->base);
    an_buffer_free(&s->class_id);
    an_seen_free(&s->paths);
    an_sample_free(&s->sample);
    an_item_free(&s->image);
    an_buffer_free(&s->class_text);
    free(s);
}

/* --- members --------------------------------------------------------------------------------------------------- */

/* Why a member cannot be read, or NULL. */
static const char *fault_of(const an_tar_entry *entry)
{
    switch (entry->kind) {
    case AN_TAR_HARD_LINK:
    case AN_TAR_SYMBOLIC_LINK:
        return "a link, which a stream cannot follow: give the tar as a file, or pack it with tar --dereference "
               "--hard-dereference";
    case AN_TAR_SPARSE:
        return AN_TAR_SPARSE_REFUSED;
    case AN_TAR_SPECIAL:
        return AN_TAR_SPECIAL_REFUSED;
    default:
        return entry->size > AN_ITEM_BYTES_MAX ? "more than 268,435,456 bytes" : NULL;
    }
}

/* Bytes are read of what may become an item: in a webdataset, of images and .cls files. */
static int read_bytes(an_stream_source *s, const an_tar_entry *entry, an_item *item)
{
    bool of_use = an_place_is_image(entry->name) || an_webdataset_is_class(entry->name);
    if (s->mode == AN_STREAM_SAMPLES && !of_use)
        return AN_OK;
    return an_tar_stream_read(s->tar, entry, &item->bytes);
}

static int add_member(an_stream_source *s, const an_tar_entry *entry, size_t boundary, an_item *item)
{
    const char *fault = fault_of(entry);
    item->kind = AN_ITEM_FILE;
    item->path.size = item->name.size = item->bytes.size = item->refusal.size = 0;
    item->fd = -1;
    item->size = entry->size;
    int rc = an_buffer_printf(&item->name, "%s", entry->name);
    if (!rc)
        rc = fault ? an_buffer_printf(&item->refusal, "%s", fault) : read_bytes(s, entry, item);
    return rc ? rc : an_stream_add(s, item, boundary);
}

static int note(an_stream_source *s)
{
    an_buffer *notes = &s->source.notes;
    int rc = an_place_describe(&s->left_out, notes);
    if (!rc)
        rc = an_sample_describe(&s->sample, notes);
    if (!rc && an_tar_stream_unended(s->tar))
        rc = an_note(notes, "the tar on standard input has no mark at its end: it may be cut short");
    return rc ? rc : an_source_note_empty_classes(&s->source, s->images);
}

/* The files of a dataset that was written before are no class. */
static bool is_dataset_file(an_stream_source *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || !an_place_is_dataset_file(path))
        return false;
    s->class_id.size = 0;
    int rc = an_buffer_printf(&s->class_id, "%.*s", (int)(slash - path), path);
    if (!rc && strcmp(slash, "/data.mdb") == 0)
        an_place_count_dataset(&s->left_out, (const char *)s->class_id.data);
    return true;
}

static int take_member(an_stream_source *s, an_item *item)
{
    an_tar_entry entry;
    size_t boundary;
    int rc = an_tar_stream_next(s->tar, &entry, &boundary, &s->left_out);
    if (rc == AN_END) {
        s->ended = true;
        rc = an_stream_finish(s);
        return rc ? rc : note(s);
    }
    if (rc || is_dataset_file(s, entry.name))
        return rc;
    return add_member(s, &entry, boundary, item);
}

static int read_item(an_stream_source *s, an_item *item)
{
    int rc = AN_OK;
    while (!rc && !an_item_list_pop(&s->ready, item)) {
        if (s->ended)
            return AN_END;
        rc = take_member(s, item);
    }
    return rc;
}

/* --- window ---------------------------------------------------------------------------------------------------- */

static int fill_window(an_stream_source *s)
{
    int rc = AN_OK;
    while (!rc && s->in_window < WINDOW_ITEMS && (s->window_bytes < WINDOW_BYTES || !s->in_window)) {
        rc = read_item(s, &s->window[s->in_window]);
        if (!rc)
            s->window_bytes += s->window[s->in_window++].size;
    }
    return rc == AN_END && s->in_window ? AN_OK : rc;
}

static int stream_next(an_source *source, an_item *item)
{
    an_stream_source *s = (an_stream_source *)source;
    if (!s->shuffle)
        return read_item(s, item);
    int rc = fill_window(s);
    if (rc)
        return rc;
    uint32_t drawn = an_rng_below(&s->rng, s->in_window);
    s->window_bytes -= s->window[drawn].size;
    an_item_swap(&s->window[drawn], &s->window[--s->in_window]);
    an_item_swap(&s->window[s->in_window], item);
    return AN_OK;
}

static int start(an_stream_source *s, const an_source_options *options)
{
    if (!options->classes)
        return an_error(AN_EINVAL, "reading from standard input needs --classes-from: labels cannot wait for its end");
    s->shuffle = options->shuffle;
    s->rng = an_rng_make(options->seed, AN_RNG_INGEST, 0, 0);
    s->window = calloc(WINDOW_ITEMS, sizeof(*s->window));
    if (!s->window)
        return an_error(AN_ENOMEM, "out of memory for a stream");
    s->images = calloc(options->classes->count + 1, sizeof(*s->images));
    if (!s->images)
        return an_error(AN_ENOMEM, "out of memory for classes");
    int rc = an_tar_stream_open(&s->tar, STDIN_FILENO, options->stopped);
    return rc ? rc : an_classes_copy(&s->source.classes, options->classes);
}

static int open_stream(an_source **out, const an_source_options *options)
{
    if (strcmp(options->path, "-") != 0)
        return an_error(AN_EINVAL, "a source of the kind stream is given as '-', not '%s'", options->path);
    static const an_source_operations operations = {stream_next, NULL, stream_free, NULL, NULL};
    an_stream_source *s = calloc(1, sizeof(*s));
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
