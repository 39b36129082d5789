/* What an engine of the reader provides. reader.c counts and checks; an engine only moves bytes. */
#ifndef AN_STORE_READER_ENGINE_H
#define AN_STORE_READER_ENGINE_H

#include <stdbool.h>

#include "store/reader/reader.h"

/* O_DIRECT: offsets, lengths and addresses are multiples of this. Covers every block size in use. */
#define AN_READER_ALIGNMENT 4096u
#define AN_READER_RETRIES 1 /* of EIO: a second failure is the medium's last word */

typedef struct {
    int (*open)(an_reader *reader);   /* AN_EUNSUPPORTED: the engine cannot work here, and the message says why */
    void (*close)(an_reader *reader); /* cancels, waits for what is in flight; half-opened is fine */
    int (*submit)(an_reader *reader, an_read *read); /* below depth, range checked against the 64-bit limit only */
    /* One finished read: AN_OK; none, and block is false: AN_AGAIN. Something is in flight. */
    int (*reap)(an_reader *reader, bool block, an_read **done);
    int (*buffers)(an_reader *reader, void *memory, size_t size); /* may be NULL */
} an_reader_engine_ops;

extern const an_reader_engine_ops an_reader_uring_ops, an_reader_pread_ops, an_reader_mmap_ops;

/* A row of the table of engines. */
typedef struct {
    const char *name;
    const an_reader_engine_ops *ops; /* NULL: AUTO, which stands for another engine */
    an_reader_engine instead;        /* where this one cannot work; itself: nothing else can */
    bool direct;                     /* the file is opened with O_DIRECT */
    an_reader_engine buffered;       /* where the file system refuses O_DIRECT */
} an_reader_engine_row;

const an_reader_engine_row *an_reader_engine_row_of(an_reader_engine engine); /* NULL if unknown */

struct an_reader {
    const an_reader_engine_ops *ops;
    an_reader_engine used;
    void *engine; /* the engine's state */
    int fd;
    char *path, *note;
    uint64_t size; /* of the file when it was opened */
    int depth, in_flight;
    an_reader_stats stats;
};

/* What AUTO stands for with this file, and a note (to be freed) that says why. */
int an_reader_auto(const char *path, uint64_t size, an_reader_engine *out, char **note);
/* The rule: file size, bytes that the page cache may take, share of the file that is in it already. */
an_reader_engine an_reader_auto_choose(uint64_t size, uint64_t memory, double resident);

/* Reading in pieces: the bytes of the file that a read fetches, the data that was asked for at `skip` in them. */
typedef struct {
    uint64_t offset;
    uint32_t length, skip;
} an_reader_span;

an_reader_span an_reader_span_of(const an_reader *reader, const an_read *read);

/* What a read call returned (bytes, or -errno): true if the read is finished, false if it must be issued again for the
 * span's bytes from read->done on. Counts short reads and retries, sets status and data. */
bool an_reader_advance(an_reader *reader, an_read *read, long result, an_reader_stats *stats);

#endif
