/* Writers: store/dataset writes, ingest/picture makes records. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "liban/common_private.h"
#include "liban/writer_private.h"
#include "store/dataset/writer.h"

#define LABEL_MAX 999999u    /* the highest number that an-ingest takes for a label */
#define COMMIT_NS 250000000u /* shortest time between commits of its own: a crash costs about this much work */
#define COMMIT_SHARE 10u     /* shortest time between them, in durations of the last one */

struct liban_writer {
    an_writer *inner;
    an_recorder *recorder;
    an_statistics_sums sums;
    an_recording made;
    uint64_t commit_due_ns;
    pid_t process;
};

static void free_all(liban_writer *w)
{
    an_writer_close(w->inner);
    an_recorder_free(w->recorder);
    an_statistics_sums_free(&w->sums);
    an_buffer_free(&w->made.payload);
    free(w);
}

static int open_all(liban_writer *w, const char *path, const liban_writer_options *options)
{
    an_recorder_options recorder;
    char *manifest = NULL;
    int rc = an_lib_writer_options(options, &recorder, &manifest);
    if (!rc)
        rc = an_statistics_sums_init(&w->sums, recorder.picture.side);
    if (!rc)
        rc = an_recorder_create(&w->recorder, &recorder);
    if (!rc)
        rc = an_writer_open(&w->inner, path, manifest, recorder.picture.side, &w->sums);
    free(manifest);
    return rc;
}

int liban_writer_open(liban_writer **out, const char *path, const liban_writer_options *options)
{
    *out = NULL;
    if (!path)
        return an_error(LIBAN_EINVAL, "a writer needs a path");
    liban_writer *w = calloc(1, sizeof *w);
    if (!w)
        return an_error(LIBAN_ENOMEM, "out of memory for a writer");
    w->process = getpid();
    w->commit_due_ns = an_clock_ns() + COMMIT_NS;
    int rc = open_all(w, path, options);
    if (rc)
        free_all(w);
    else
        *out = w;
    return rc;
}

uint64_t liban_writer_count(const liban_writer *writer)
{
    return an_lib_is_forked(writer->process) ? 0 : an_writer_count(writer->inner);
}

uint64_t liban_writer_position(const liban_writer *writer)
{
    return an_lib_is_forked(writer->process) ? 0 : an_writer_position(writer->inner);
}

static int check_process(const liban_writer *w)
{
    return an_lib_check_process(w->process, "writer");
}

/* The pauses keep commits, which wait for the disk, to a small share of the time. */
static int commit(liban_writer *w)
{
    uint64_t start = an_clock_ns();
    int rc = an_writer_commit(w->inner);
    uint64_t end = an_clock_ns(), pause = COMMIT_SHARE * (end - start);
    w->commit_due_ns = end + (pause > COMMIT_NS ? pause : COMMIT_NS);
    return rc;
}

static int commit_if_due(liban_writer *w)
{
    return an_clock_ns() < w->commit_due_ns ? LIBAN_OK : commit(w);
}

/* ---- images ----------------------------------------------------------------------------------------------------- */

static int check_label(uint32_t label)
{
    return label <= LABEL_MAX ? LIBAN_OK
                              : an_error(LIBAN_EINVAL, "label %" PRIu32 " is above %u", label, (unsigned)LABEL_MAX);
}

static int check_add(const liban_writer *w, uint32_t label)
{
    int rc = check_process(w);
    return rc ? rc : check_label(label);
}

/* Statistics follow the record, so that they hold nothing that was not written. */
static int put(liban_writer *w, const char *name)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, an_writer_count(w->inner));
    if (!name)
        name = number;
    if (w->made.rejected)
        return an_error(w->made.code, "image '%s': %s", name, w->made.reason);
    int rc = an_writer_put(w->inner, &w->made.header, w->made.payload.data, name);
    if (!rc)
        rc = an_statistics_sums_add(&w->sums, an_recorder_image(w->recorder));
    return rc ? rc : commit_if_due(w);
}

int liban_writer_add_encoded(liban_writer *writer, const void *bytes, size_t size, uint32_t label, const char *name)
{
    int rc = check_add(writer, label);
    if (rc)
        return rc;
    if (!bytes && size)
        return an_error(LIBAN_EINVAL, "bytes are NULL");
    rc = an_recorder_make_bytes(writer->recorder, bytes, size, label, an_writer_position(writer->inner), &writer->made);
    return rc ? rc : put(writer, name);
}

static int check_pixels(const an_picture_pixels *p)
{
    if (!p->data)
        return an_error(LIBAN_EINVAL, "pixels are NULL");
    if (!p->width || !p->height)
        return an_error(LIBAN_EINVAL, "width %u and height %u: an image has at least one pixel", p->width, p->height);
    if (p->channels != 3 && p->channels != 1)
        return an_error(LIBAN_EINVAL, "channels %u: expected 3 for RGB or 1 for grey", p->channels);
    if (p->stride < (uint64_t)p->width * p->channels)
        return an_error(LIBAN_EINVAL, "stride %zu is less than a row of %u pixels", p->stride, p->width);
    return LIBAN_OK;
}

int liban_writer_add_pixels(liban_writer *writer, const uint8_t *pixels, uint32_t width, uint32_t height,
                            uint32_t channels, size_t stride, uint32_t label, const char *name)
{
    const an_picture_pixels picture = {
        .data = pixels, .width = width, .height = height, .channels = channels, .stride = stride};
    int rc = check_add(writer, label);
    if (!rc)
        rc = check_pixels(&picture);
    if (!rc)
        rc = an_recorder_make_pixels(writer->recorder, &picture, label, an_writer_position(writer->inner),
                                     &writer->made);
    return rc ? rc : put(writer, name);
}

/* ---- all else --------------------------------------------------------------------------------------------------- */

int liban_writer_reject(liban_writer *writer, const char *name, const char *reason, uint64_t bytes)
{
    int rc = check_process(writer);
    if (rc)
        return rc;
    if (!name || !reason)
        return an_error(LIBAN_EINVAL, "%s is NULL", name ? "reason" : "name");
    rc = an_writer_reject(writer->inner, name, reason, bytes);
    return rc ? rc : commit_if_due(writer);
}

int liban_writer_class(liban_writer *writer, uint32_t label, const char *id, const char *name)
{
    int rc = check_add(writer, label);
    if (rc)
        return rc;
    if (!id || !*id)
        return an_error(LIBAN_EINVAL, "class %" PRIu32 " needs an id", label);
    return an_writer_class(writer->inner, label, id, name ? name : id);
}

int liban_writer_commit(liban_writer *writer)
{
    int rc = check_process(writer);
    return rc ? rc : commit(writer);
}

/* The first commit keeps what was added, also if the dataset cannot be finished like this. */
static int finish(liban_writer *w)
{
    int rc = commit(w);
    if (rc)
        return rc;
    if (!an_writer_count(w->inner))
        return an_error(LIBAN_EINVAL, "a dataset needs an image: add one first");
    rc = an_writer_number_classes(w->inner);
    if (rc)
        return rc;
    an_writer *inner = w->inner;
    w->inner = NULL;
    return an_writer_finish(inner);
}

int liban_writer_finish(liban_writer *writer)
{
    int rc = check_process(writer);
    if (rc)
        return rc;
    rc = finish(writer);
    free_all(writer);
    return rc;
}

void liban_writer_close(liban_writer *writer)
{
    if (writer && !an_lib_is_forked(writer->process))
        free_all(writer);
}
