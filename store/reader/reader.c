#include "store/reader/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text/name_list.h"
#include "store/reader/engine_private.h"

#define DEPTH_MAX 4096

/* ------------------------------------------------------------------------------------------------- opening ---- */

/* Takes the place of a note by AUTO. */
static int set_note(an_reader *reader, const char *what, const char *instead)
{
    free(reader->note);
    if (asprintf(&reader->note, "%s: using %s", what, instead) < 0) {
        reader->note = NULL; /* asprintf leaves it undefined */
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", reader->path);
    }
    return AN_OK;
}

static int open_file(an_reader *reader)
{
    const char *kind;
    if (an_reader_is_direct(reader)) {
        reader->fd = an_file_open_kind(reader->path, O_RDONLY | O_DIRECT, &kind);
        if (reader->fd >= 0)
            return AN_OK;
        if (errno != EINVAL)
            return errno ? an_error_errno(errno, "cannot open '%s'", reader->path)
                         : an_error(AN_ECORRUPT, "'%s' is %s, not a regular file", reader->path, kind);
        reader->used = an_reader_engine_row_of(reader->used)->buffered;
        int rc = set_note(reader, "the file system refuses O_DIRECT", "the page cache");
        if (rc)
            return rc;
    }
    return an_file_open(&reader->fd, reader->path);
}

static int measure_file(an_reader *reader)
{
    struct stat info;
    if (fstat(reader->fd, &info))
        return an_error_errno(errno, "cannot stat '%s'", reader->path);
    if (!S_ISREG(info.st_mode))
        return an_error(AN_EINVAL, "cannot read '%s': not a regular file", reader->path);
    reader->size = (uint64_t)info.st_size;
    return AN_OK;
}

static void close_file(an_reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd); /* opened for reading: nothing to lose */
    reader->fd = -1;
}

/* The engine cannot work here: the message that says why becomes the note. */
static int fall_back(an_reader *reader, an_reader_engine instead)
{
    int rc = set_note(reader, an_error_message(), an_reader_engine_name(instead));
    if (rc)
        return rc;
    reader->ops->close(reader);
    close_file(reader); /* it may be open for O_DIRECT */
    reader->used = instead;
    reader->ops = an_reader_engine_row_of(instead)->ops;
    rc = open_file(reader);
    return rc ? rc : reader->ops->open(reader);
}

/* AUTO becomes an engine here. */
static int choose(an_reader *reader)
{
    struct stat info;
    if (reader->used == AN_READER_AUTO) {
        if (stat(reader->path, &info))
            return an_error_errno(errno, "cannot open '%s'", reader->path);
        int rc = an_reader_auto(reader->path, (uint64_t)info.st_size, &reader->used, &reader->note);
        if (rc)
            return rc;
    }
    reader->ops = an_reader_engine_row_of(reader->used)->ops;
    return AN_OK;
}

static int open_engine(an_reader *reader)
{
    int rc = choose(reader);
    if (!rc)
        rc = open_file(reader);
    if (!rc)
        rc = measure_file(reader);
    if (rc)
        return rc;
    rc = reader->ops->open(reader);
    an_reader_engine instead = an_reader_engine_row_of(reader->used)->instead;
    return rc == AN_EUNSUPPORTED && instead != reader->used ? fall_back(reader, instead) : rc;
}

static const char *engine_name_at(size_t i)
{
    return an_reader_engine_names[i];
}

static int check_options(const an_reader_options *options)
{
    if (!an_reader_engine_row_of(options->engine)) {
        an_name_list list = an_name_list_make(an_reader_engine_count(), engine_name_at);
        return an_error(AN_EINVAL, "unknown reader engine %d: use %s", (int)options->engine, list.text);
    }
    if (options->depth < 1 || options->depth > DEPTH_MAX)
        return an_error(AN_EINVAL, "read depth %d: allowed are 1 to %d", options->depth, DEPTH_MAX);
    return AN_OK;
}

int an_reader_create(an_reader **out, const char *path, const an_reader_options *options)
{
    *out = NULL;
    int rc = check_options(options);
    if (rc)
        return rc;
    an_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", path);
    reader->used = options->engine;
    reader->fd = -1;
    reader->depth = options->depth;
    reader->path = strdup(path);
    rc = reader->path ? open_engine(reader) : an_error(AN_ENOMEM, "out of memory: opening '%s'", path);
    if (rc)
        an_reader_free(reader);
    else
        *out = reader;
    return rc;
}

void an_reader_free(an_reader *reader)
{
    if (!reader)
        return;
    if (reader->ops)
        reader->ops->close(reader);
    close_file(reader);
    free(reader->path);
    free(reader->note);
    free(reader);
}

an_reader_engine an_reader_engine_used(const an_reader *reader)
{
    return reader->used;
}

bool an_reader_is_direct(const an_reader *reader)
{
    return an_reader_engine_row_of(reader->used)->direct;
}

bool an_reader_is_mapped(const an_reader *reader)
{
    return an_reader_engine_row_of(reader->used)->mapped;
}

const char *an_reader_note(const an_reader *reader)
{
    return reader->note;
}

int an_reader_buffers(an_reader *reader, void *memory, size_t size)
{
    return reader->ops->buffers ? reader->ops->buffers(reader, memory, size) : AN_OK;
}

/* ----------------------------------------------------------------------------------------------- geometry ---- */

/* With O_DIRECT: the data may begin anywhere in its first block and end anywhere in its last. */
size_t an_reader_capacity(const an_reader *reader, uint32_t length)
{
    const size_t mask = AN_READER_ALIGNMENT - 1;
    return an_reader_is_direct(reader) ? (((size_t)length + mask) & ~mask) + AN_READER_ALIGNMENT : length;
}

an_reader_span an_reader_span_of(const an_reader *reader, const an_read *read)
{
    if (!an_reader_is_direct(reader))
        return (an_reader_span){read->offset, read->length, 0};
    const uint32_t mask = AN_READER_ALIGNMENT - 1;
    uint32_t skip = (uint32_t)read->offset & mask;
    return (an_reader_span){read->offset - skip, (skip + read->length + mask) & ~mask, skip};
}

static bool finish(an_read *read, int status, int errnum, uint32_t skip)
{
    read->status = status;
    read->errnum = errnum;
    read->data = status ? NULL : read->buffer + skip;
    return true;
}

static bool advance_bytes(an_reader *reader, an_read *read, uint32_t bytes, an_reader_stats *stats)
{
    an_reader_span span = an_reader_span_of(reader, read);
    read->done += bytes;
    if (read->done >= span.skip + read->length) /* with O_DIRECT the file may end within the last block */
        return finish(read, AN_OK, 0, span.skip);
    if (bytes == 0)
        return finish(read, AN_ECORRUPT, 0, 0);
    if (an_reader_is_direct(reader)) {
        if (span.offset + read->done >= reader->size)
            return finish(read, AN_ECORRUPT, 0, 0);
        read->done &= ~(AN_READER_ALIGNMENT - 1);
    }
    stats->short_reads++;
    return false;
}

bool an_reader_advance(an_reader *reader, an_read *read, long result, an_reader_stats *stats)
{
    if (result >= 0)
        return advance_bytes(reader, read, (uint32_t)result, stats);
    int errnum = (int)-result;
    bool again = errnum == EINTR || errnum == EAGAIN || (errnum == EIO && read->errnum++ < AN_READER_RETRIES);
    if (!again)
        return finish(read, AN_EIO, errnum, 0);
    stats->retries++;
    return false;
}

/* ---------------------------------------------------------------------------------------------- the stream ---- */

static int check_read(const an_reader *reader, const an_read *read)
{
    if (read->length == 0 || read->length > AN_READER_LENGTH_MAX || read->offset > INT64_MAX - 2 * AN_READER_LENGTH_MAX)
        return an_error(AN_EINVAL, "cannot read %u bytes of '%s' at offset %llu", read->length, reader->path,
                        (unsigned long long)read->offset);
    if (an_reader_is_direct(reader) && (uintptr_t)read->buffer % AN_READER_ALIGNMENT)
        return an_error(AN_EINVAL, "cannot read '%s' with O_DIRECT: a buffer is not aligned to %u bytes", reader->path,
                        AN_READER_ALIGNMENT);
    return AN_OK;
}

int an_reader_submit(an_reader *reader, an_read *read)
{
    if (reader->in_flight == reader->depth)
        return AN_AGAIN;
    int rc = check_read(reader, read);
    if (rc)
        return rc;
    read->data = NULL;
    read->status = AN_OK;
    read->done = 0;
    read->errnum = 0; /* while in flight: how often EIO came */
    rc = reader->ops->submit(reader, read);
    if (rc)
        return rc;
    reader->in_flight++;
    reader->stats.reads++;
    reader->stats.bytes += read->length;
    reader->stats.in_flight_sum += (uint64_t)reader->in_flight;
    return AN_OK;
}

static int reap(an_reader *reader, bool block, an_read **done)
{
    if (reader->in_flight == 0)
        return AN_END;
    int rc = reader->ops->reap(reader, block, done);
    if (!rc)
        reader->in_flight--;
    return rc;
}

int an_reader_poll(an_reader *reader, an_read **done)
{
    return reap(reader, false, done);
}

int an_reader_wait(an_reader *reader, an_read **done)
{
    int rc = reap(reader, false, done);
    if (rc != AN_AGAIN)
        return rc;
    uint64_t start = an_clock_ns();
    rc = reap(reader, true, done);
    reader->stats.wait_ns += an_clock_ns() - start;
    return rc;
}

int an_reader_read_error(const an_reader *reader, const an_read *read)
{
    if (!read->status)
        return AN_OK;
    if (read->status == AN_ECORRUPT)
        return an_error(AN_ECORRUPT, "'%s' ends early: no %u bytes at offset %llu", reader->path, read->length,
                        (unsigned long long)read->offset);
    (void)an_error_errno(read->errnum, "cannot read %u bytes of '%s' at offset %llu", read->length, reader->path,
                         (unsigned long long)read->offset);
    return read->status;
}

void an_reader_stats_get(const an_reader *reader, an_reader_stats *out)
{
    *out = reader->stats;
}
