/* Asynchronous reads of byte ranges of one file, through one of several engines (a table, engines.c). A reader belongs
 * to one thread, which submits reads and waits for them; they complete in any order. The buffers are the caller's and
 * must stay until their reads are done or the reader is freed. A read that fails says so in its status; the reader goes
 * on.
 */
#ifndef AN_STORE_READER_READER_H
#define AN_STORE_READER_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    AN_READER_AUTO,  /* mmap if the file is in the page cache, uring-direct if it is larger than memory, else uring */
    AN_READER_URING, /* io_uring through the page cache */
    AN_READER_URING_DIRECT, /* io_uring with O_DIRECT */
    AN_READER_PREAD,        /* a few threads calling pread */
    AN_READER_MMAP          /* no read at all: data points into a map of the file */
} an_reader_engine;

/* Every engine's name, at the engine's number; NULL ends them. */
extern const char *const an_reader_engine_names[];
size_t an_reader_engine_count(void);
const char *an_reader_engine_name(an_reader_engine engine); /* "?" if unknown */

#define AN_READER_LENGTH_MAX (((uint32_t)1 << 30) + 4096) /* bytes of one read */

typedef struct an_read {
    uint64_t offset; /* in: byte range of the file */
    uint32_t length;
    uint8_t *buffer;     /* in: an_reader_capacity(reader, length) bytes, from an_reader_buffers; untouched if mapped */
    void *user;          /* in: the caller's */
    const uint8_t *data; /* out: the bytes; inside buffer (or the map), valid until the buffer is reused */
    int status;          /* out: 0 or a failure, whose message an_reader_read_error sets */
    /* for the reader alone: */
    struct an_read *next;
    uint32_t done;
    int errnum;
} an_read;

typedef struct {
    an_reader_engine engine;
    int depth; /* reads in flight at most, 1..4096 */
} an_reader_options;

typedef struct {
    uint64_t reads, bytes, short_reads, retries;
    uint64_t wait_ns;       /* time that an_reader_wait was blocked */
    uint64_t in_flight_sum; /* reads in flight after each submit, added up: divided by reads, the mean depth */
} an_reader_stats;

typedef struct an_reader an_reader;

/* An unknown engine or depth is AN_EINVAL. Where io_uring is refused, pread takes its place; where O_DIRECT is, the
 * page cache. an_reader_note says so, and what AUTO chose and why. */
int an_reader_create(an_reader **out, const char *path, const an_reader_options *options);
void an_reader_free(an_reader *reader); /* cancels and waits for what is in flight */

an_reader_engine an_reader_engine_used(const an_reader *reader);
bool an_reader_is_direct(const an_reader *reader); /* reads go past the page cache */
bool an_reader_is_mapped(const an_reader *reader); /* nothing is copied to buffers: data points into a map */
/* "io_uring refused (Operation not permitted): using pread", or NULL. */
const char *an_reader_note(const an_reader *reader);

size_t an_reader_capacity(const an_reader *reader, uint32_t length); /* buffer bytes that a read of length needs */
/* Tell the reader which memory the buffers come from, so that io_uring can register it and reads get cheaper. Optional;
 * once, before the first read. */
int an_reader_buffers(an_reader *reader, void *memory, size_t size);

int an_reader_submit(an_reader *reader, an_read *read); /* AN_AGAIN at full depth */
int an_reader_wait(an_reader *reader, an_read **done);  /* blocks for one; AN_END if nothing is in flight */
int an_reader_poll(an_reader *reader, an_read **done);  /* AN_AGAIN if none is ready, AN_END if nothing is in flight */
int an_reader_read_error(const an_reader *reader, const an_read *read); /* set the message, return read->status */

void an_reader_stats_get(const an_reader *reader, an_reader_stats *out);

#endif
