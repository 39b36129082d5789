/* What an engine of the reader provides, and the table of engines. reader.c checks arguments and keeps count; an engine
 * only moves bytes. All functions are called by the reader's one thread. */
#ifndef AN_STORE_READER_ENGINE_PRIVATE_H
#define AN_STORE_READER_ENGINE_PRIVATE_H

#include <stdbool.h>

#include "store/reader/reader.h"

/* With O_DIRECT, offsets, lengths and addresses are multiples of this: at least the block size of every usual disk. */
#define AN_READER_ALIGNMENT 4096u
#define AN_READER_RETRIES 1 /* after EIO; a second failure is final */

typedef struct {
    int (*open)(an_reader *reader);   /* AN_EUNSUPPORTED: the engine cannot work here, and the message says why */
    void (*close)(an_reader *reader); /* cancels and waits for what is in flight; also after a failed open */
    /* Fewer than depth reads are in flight. The range may lie beyond the end of the file. */
    int (*submit)(an_reader *reader, an_read *read);
    /* Give one finished read. AN_AGAIN: none is finished, and block is false. Called only while reads are in flight. */
    int (*reap)(an_reader *reader, bool block, an_read **done);
    int (*buffers)(an_reader *reader, void *memory, size_t size); /* see an_reader_buffers; may be NULL */
} an_reader_engine_ops;

extern const an_reader_engine_ops an_reader_uring_ops, an_reader_pread_ops, an_reader_mmap_ops;

/* A row of the table of engines. */
typedef struct {
    const char *name;
    const an_reader_engine_ops *ops; /* NULL: AUTO, which stands for another engine */
    an_reader_engine instead;        /* the engine for where this one cannot work; itself: none, opening fails */
    bool direct;                     /* the file is opened with O_DIRECT */
    bool mapped;                     /* a read's data lies in a map of the file and not in its buffer */
    an_reader_engine buffered;       /* the engine for where the file system refuses O_DIRECT */
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

/* The engine that AUTO stands for with this file, and a note that says why, which the caller frees. */
int an_reader_auto(const char *path, uint64_t size, an_reader_engine *out, char **note);
/* The rule behind it. memory: bytes that the page cache may take; resident: the share of the file that it holds. */
an_reader_engine an_reader_auto_choose(uint64_t size, uint64_t memory, double resident);

/* The bytes of the file that are read for a read, whole blocks with O_DIRECT. What was asked for begins `skip` bytes
 * after their start. */
typedef struct {
    uint64_t offset;
    uint32_t length, skip;
} an_reader_span;

an_reader_span an_reader_span_of(const an_reader *reader, const an_read *read);

/* Take in what a system call returned (bytes, or -errno). True: the read is finished, and status and data are set.
 * False: issue it again for the span's bytes from read->done on. Short reads and retries are counted in stats. */
bool an_reader_advance(an_reader *reader, an_read *read, long result, an_reader_stats *stats);

#endif
