/* Engine mmap reads nothing: data points into a map of the file, and the pages are read when the caller looks at them.
 * As with every map, the process gets SIGBUS if the file was cut off after it was opened, or if the disk fails;
 * programs say which file it was before they end (base/program/fault.h). Testing each record first costs too much:
 * MADV_POPULATE_READ adds 10 us to the 20 us that an rgb record takes. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/error.h"
#include "store/reader/engine_private.h"

typedef struct {
    uint8_t *data;
    an_read *head, **tail; /* submitted, in order */
} map;

static int map_open(an_reader *reader)
{
    map *m = calloc(1, sizeof *m);
    reader->engine = m;
    if (!m)
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", reader->path);
    m->tail = &m->head;
    void *data = reader->size ? mmap(NULL, reader->size, PROT_READ, MAP_SHARED, reader->fd, 0) : NULL;
    if (data == MAP_FAILED)
        return an_error_errno(errno, "cannot map '%s'", reader->path);
    m->data = data;
    return AN_OK;
}

static void map_close(an_reader *reader)
{
    map *m = reader->engine;
    if (m && m->data)
        (void)munmap(m->data, reader->size);
    free(m);
    reader->engine = NULL;
}

static int map_submit(an_reader *reader, an_read *read)
{
    map *m = reader->engine;
    bool inside = read->offset <= reader->size && read->length <= reader->size - read->offset;
    read->status = inside ? AN_OK : AN_ECORRUPT;
    read->data = inside ? m->data + read->offset : NULL;
    read->next = NULL;
    *m->tail = read;
    m->tail = &read->next;
    return AN_OK;
}

static int map_reap(an_reader *reader, bool block, an_read **done)
{
    (void)block;
    map *m = reader->engine;
    *done = m->head;
    m->head = m->head->next;
    if (!m->head)
        m->tail = &m->head;
    return AN_OK;
}

const an_reader_engine_ops an_reader_mmap_ops = {
    .open = map_open, .close = map_close, .submit = map_submit, .reap = map_reap};
