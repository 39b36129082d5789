/* bench_read: the store's reader, engine by engine, against plain loops without any abstraction: io_uring with
 * O_DIRECT, registered memory and a registered file (what fio does at best), and pread in one thread. All variants read
 * the same records in the same random order, in interleaved rounds; medians are printed. With --cold the file leaves
 * the page cache before each run. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/program/log.h"
#include "base/program/options.h"
#include "base/rng.h"
#include "store/dataset/dataset.h"
#include "store/reader/reader.h"

#define BLOCK ((uint64_t)4096)
#define ROUNDS_MAX 99

typedef struct {
    int depth, reads, rounds, length, megabytes;
    bool cold, sequential;
} config;

static const an_option options[] = {{.name = "depth",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 1,
                                     .max = 4096,
                                     .initial = "64",
                                     .offset = offsetof(config, depth),
                                     .help = "reads in flight"},
                                    {.name = "reads",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 1,
                                     .max = 1e8,
                                     .initial = "4000",
                                     .offset = offsetof(config, reads),
                                     .help = "records read in each run"},
                                    {.name = "rounds",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 1,
                                     .max = ROUNDS_MAX,
                                     .initial = "7",
                                     .offset = offsetof(config, rounds),
                                     .help = "runs of each variant"},
                                    {.name = "length",
                                     .type = AN_OPTION_INT,
                                     .metavar = "BYTES",
                                     .min = 1,
                                     .max = 1 << 28,
                                     .initial = "196640",
                                     .offset = offsetof(config, length),
                                     .help = "of a record, where the source is no dataset"},
                                    {.name = "megabytes",
                                     .type = AN_OPTION_INT,
                                     .metavar = "N",
                                     .min = 1,
                                     .max = 1e7,
                                     .initial = "1024",
                                     .offset = offsetof(config, megabytes),
                                     .help = "size of the file that is made when there is no source"},
                                    {.name = "cold",
                                     .type = AN_OPTION_FLAG,
                                     .offset = offsetof(config, cold),
                                     .help = "drop the file from the page cache before each run"},
                                    {.name = "sequential",
                                     .type = AN_OPTION_FLAG,
                                     .offset = offsetof(config, sequential),
                                     .help = "read in the order of the file instead of a random one"},
                                    {0}};

static const an_options spec = {
    .program = "bench_read",
    .usage = "[DATASET|FILE]",
    .summary =
        "Compare the reader's engines with plain read loops on a dataset's records, or on records of one length in "
        "a file. Without a source, a temporary file is made beside the current folder's other files.",
    .options = options,
    .arguments_max = 1};

typedef struct {
    config options;
    const char *path;
    char temporary[32]; /* the file that was made, or "" */
    uint64_t size, *offsets;
    uint32_t *lengths, length_max;
    uint64_t count;
    uint8_t *memory; /* depth buffers of `stride` bytes */
    size_t stride;
} bench;

/* ------------------------------------------------------------------------------------------------- sources ---- */

static int allocate_records(bench *b, uint64_t count)
{
    b->count = count;
    b->offsets = calloc(count + 1, sizeof *b->offsets);
    b->lengths = calloc(count + 1, sizeof *b->lengths);
    if (!b->offsets || !b->lengths)
        return an_error(AN_ENOMEM, "out of memory: %llu records", (unsigned long long)count);
    return count ? AN_OK : an_error(AN_EINVAL, "'%s' holds no record", b->path);
}

static int use_dataset(bench *b, const an_dataset *dataset)
{
    int rc = allocate_records(b, an_dataset_count(dataset));
    for (uint64_t i = 0; !rc && i < b->count; i++) {
        b->offsets[i] = an_dataset_index(dataset)[i].offset;
        b->lengths[i] = an_dataset_index(dataset)[i].length;
    }
    b->length_max = an_dataset_record_max(dataset);
    return rc;
}

/* As records lie in a dataset: on pages of their own, behind a header of 16 bytes. */
static int use_file(bench *b)
{
    uint64_t pages = ((uint64_t)b->options.length + 16 + BLOCK - 1) / BLOCK;
    struct stat info;
    if (stat(b->path, &info))
        return an_error_errno(errno, "cannot stat '%s'", b->path);
    int rc = allocate_records(b, (uint64_t)info.st_size / (pages * BLOCK));
    for (uint64_t i = 0; !rc && i < b->count; i++) {
        b->offsets[i] = i * pages * BLOCK + 16;
        b->lengths[i] = (uint32_t)b->options.length;
    }
    b->length_max = (uint32_t)b->options.length;
    return rc;
}

static int fill_file(const bench *b, int fd)
{
    enum { PIECE = 1 << 20 };
    uint32_t *piece = malloc(PIECE);
    if (!piece)
        return an_error(AN_ENOMEM, "out of memory: a piece of '%s'", b->path);
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, 0);
    for (int i = 0; i < PIECE / 4; i++)
        piece[i] = an_rng_u32(&rng);
    int rc = AN_OK;
    for (int i = 0; !rc && i < b->options.megabytes; i++)
        if (write(fd, piece, PIECE) != PIECE)
            rc = an_error_errno(errno, "cannot write '%s'", b->path);
    if (!rc && fsync(fd))
        rc = an_error_errno(errno, "cannot sync '%s'", b->path);
    free(piece);
    return rc;
}

static int make_file(bench *b)
{
    strcpy(b->temporary, "bench_read-XXXXXX");
    int fd = mkstemp(b->temporary);
    b->path = b->temporary;
    if (fd < 0)
        return an_error_errno(errno, "cannot create '%s'", b->path);
    int rc = fill_file(b, fd);
    (void)close(fd);
    return rc ? rc : use_file(b);
}

static void shuffle(bench *b)
{
    an_rng rng = an_rng_make(2, AN_RNG_TEST, 0, 0);
    for (uint64_t i = b->count - 1; i > 0; i--) {
        uint64_t j = an_rng_below(&rng, (uint32_t)i + 1);
        uint64_t offset = b->offsets[i];
        uint32_t length = b->lengths[i];
        b->offsets[i] = b->offsets[j];
        b->lengths[i] = b->lengths[j];
        b->offsets[j] = offset;
        b->lengths[j] = length;
    }
}

/* ------------------------------------------------------------------------------------------- plain loops ---- */

static int plain_pread(bench *b)
{
    int fd;
    int rc = an_file_open(&fd, b->path);
    if (rc)
        return rc;
    for (int i = 0; !rc && i < b->options.reads; i++) {
        uint64_t k = (uint64_t)i % b->count;
        uint8_t *to = b->memory + b->stride * (size_t)(i % b->options.depth);
        if (pread(fd, to, b->lengths[k], (off_t)b->offsets[k]) != (ssize_t)b->lengths[k])
            rc = an_error(AN_EIO, "cannot read '%s' with pread", b->path);
    }
    (void)close(fd);
    return rc;
}

static void queue_plain(bench *b, struct io_uring *ring, int i, size_t slot)
{
    uint64_t k = (uint64_t)i % b->count, skip = b->offsets[k] % BLOCK;
    unsigned length = (unsigned)((skip + b->lengths[k] + BLOCK - 1) / BLOCK * BLOCK);
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_read_fixed(sqe, 0, b->memory + b->stride * slot, length, b->offsets[k] - skip, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
    io_uring_sqe_set_data64(sqe, slot);
}

static int loop_plain(bench *b, struct io_uring *ring)
{
    int next = 0, finished = 0;
    for (; next < b->options.depth && next < b->options.reads; next++)
        queue_plain(b, ring, next, (size_t)next);
    while (finished < b->options.reads) {
        struct io_uring_cqe *cqe;
        int rc = io_uring_submit_and_wait(ring, 1);
        if (rc < 0)
            return an_error_errno(-rc, "cannot read '%s' through io_uring", b->path);
        while (io_uring_peek_cqe(ring, &cqe) == 0) {
            size_t slot = (size_t)cqe->user_data;
            int result = cqe->res;
            io_uring_cqe_seen(ring, cqe);
            if (result <= 0)
                return an_error_errno(-result, "cannot read '%s' with O_DIRECT", b->path);
            finished++;
            if (next < b->options.reads)
                queue_plain(b, ring, next++, slot);
        }
    }
    return AN_OK;
}

static int plain_uring(bench *b)
{
    struct io_uring ring;
    struct iovec all = {b->memory, b->stride * (size_t)b->options.depth};
    int fd;
    int rc = an_file_open_as(&fd, b->path, O_RDONLY | O_DIRECT);
    if (rc)
        return rc;
    rc = io_uring_queue_init((unsigned)b->options.depth, &ring, 0);
    if (rc == 0) {
        rc = io_uring_register_files(&ring, &fd, 1);
        if (!rc)
            rc = io_uring_register_buffers(&ring, &all, 1);
        rc = rc ? an_error_errno(-rc, "cannot register with io_uring") : loop_plain(b, &ring);
        io_uring_queue_exit(&ring);
    } else {
        rc = an_error_errno(-rc, "cannot set up io_uring");
    }
    (void)close(fd);
    return rc;
}

/* ------------------------------------------------------------------------------------------------- engines ---- */

static volatile uint8_t sink;

static int take(an_reader *reader, const an_read *done)
{
    int rc = an_reader_read_error(reader, done);
    if (!rc && an_reader_is_mapped(reader)) /* the map is read when it is touched */
        for (uint32_t i = 0; i < done->length; i += BLOCK)
            sink ^= done->data[i];
    return rc;
}

static int submit(bench *b, an_reader *reader, an_read *read, int i)
{
    uint64_t k = (uint64_t)i % b->count;
    read->offset = b->offsets[k];
    read->length = b->lengths[k];
    return an_reader_submit(reader, read);
}

static int loop_reader(bench *b, an_reader *reader, an_read *reads)
{
    int next = 0, finished = 0, rc = an_reader_buffers(reader, b->memory, b->stride * (size_t)b->options.depth);
    for (; !rc && next < b->options.depth && next < b->options.reads; next++) {
        reads[next].buffer = b->memory + b->stride * (size_t)next;
        rc = submit(b, reader, &reads[next], next);
    }
    while (!rc && finished < b->options.reads) {
        an_read *done;
        rc = an_reader_wait(reader, &done);
        if (!rc)
            rc = take(reader, done);
        finished++;
        if (!rc && next < b->options.reads)
            rc = submit(b, reader, done, next++);
    }
    return rc;
}

static int run_engine(bench *b, an_reader_engine engine)
{
    an_reader *reader;
    an_read *reads = calloc((size_t)b->options.depth, sizeof *reads);
    if (!reads)
        return an_error(AN_ENOMEM, "out of memory: reads");
    int rc = an_reader_create(&reader, b->path, &(an_reader_options){engine, b->options.depth});
    if (!rc)
        rc = loop_reader(b, reader, reads);
    an_reader_free(reader);
    free(reads);
    return rc;
}

static int engine_uring(bench *b)
{
    return run_engine(b, AN_READER_URING);
}

static int engine_direct(bench *b)
{
    return run_engine(b, AN_READER_URING_DIRECT);
}

static int engine_pread(bench *b)
{
    return run_engine(b, AN_READER_PREAD);
}

static int engine_mmap(bench *b)
{
    return run_engine(b, AN_READER_MMAP);
}

/* ---------------------------------------------------------------------------------------------- measuring ---- */

static const struct {
    const char *name;
    int (*run)(bench *);
    int limit; /* the variant it is compared with */
} variants[] = {{"plain io_uring, O_DIRECT", plain_uring, 0},
                {"uring-direct", engine_direct, 0},
                {"plain pread", plain_pread, 2},
                {"uring", engine_uring, 2},
                {"pread", engine_pread, 2},
                {"mmap, one byte a page", engine_mmap, 2}};
enum { VARIANTS = sizeof variants / sizeof *variants };

typedef struct {
    double rate, seconds, cpu; /* bytes/s; CPU seconds */
} sample;

static double cpu_seconds(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u))
        return 0;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int forget_file(const bench *b)
{
    int fd;
    int rc = an_file_open(&fd, b->path);
    if (rc)
        return rc;
    rc = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(fd);
    return rc ? an_error_errno(rc, "cannot drop '%s' from the page cache", b->path) : AN_OK;
}

static int measure(bench *b, int variant, sample *out)
{
    uint64_t bytes = 0;
    for (int i = 0; i < b->options.reads; i++)
        bytes += b->lengths[(uint64_t)i % b->count];
    int rc = b->options.cold ? forget_file(b) : AN_OK;
    double cpu = cpu_seconds();
    uint64_t start = an_clock_ns();
    if (!rc)
        rc = variants[variant].run(b);
    double seconds = an_clock_seconds_since(start);
    *out = (sample){(double)bytes / seconds, seconds, cpu_seconds() - cpu};
    return rc;
}

static int by_rate(const void *a, const void *b)
{
    double x = ((const sample *)a)->rate, y = ((const sample *)b)->rate;
    return (x > y) - (x < y);
}

static int run_rounds(bench *b)
{
    static sample samples[VARIANTS][ROUNDS_MAX];
    int rc = plain_pread(b); /* warm, unless cold is asked for */
    for (int round = 0; !rc && round < b->options.rounds; round++)
        for (int v = 0; !rc && v < VARIANTS; v++)
            rc = measure(b, v, &samples[v][round]);
    if (rc)
        return rc;
    printf("%llu records in '%s', %d reads, depth %d, %s, %s, medians of %d rounds\n", (unsigned long long)b->count,
           b->path, b->options.reads, b->options.depth, b->options.sequential ? "sequential" : "random",
           b->options.cold ? "cold" : "warm", b->options.rounds);
    printf("%-26s %10s %10s %12s %8s\n", "", "MB/s", "reads/s", "CPU us/read", "ratio");
    int middle = b->options.rounds / 2;
    for (int v = 0; v < VARIANTS; v++)
        qsort(samples[v], (size_t)b->options.rounds, sizeof(sample), by_rate);
    for (int v = 0; v < VARIANTS; v++) {
        const sample *s = &samples[v][middle], *limit = &samples[variants[v].limit][middle];
        printf("%-26s %10.0f %10.0f %12.1f %8.3f\n", variants[v].name, s->rate / 1e6, b->options.reads / s->seconds,
               1e6 * s->cpu / b->options.reads, s->rate / limit->rate);
    }
    return AN_OK;
}

static int prepare(bench *b, const char *source)
{
    an_dataset *dataset = NULL;
    struct stat info;
    b->path = source;
    int rc;
    if (!source) {
        rc = make_file(b);
    } else if (stat(source, &info) == 0 && S_ISDIR(info.st_mode)) {
        rc = an_dataset_open(&dataset, source);
        if (!rc)
            rc = use_dataset(b, dataset);
        if (!rc)
            b->path = strdup(an_dataset_file(dataset)); /* lives as long as the program */
        an_dataset_free(dataset);
    } else {
        rc = use_file(b);
    }
    if (rc)
        return rc;
    if (!b->options.sequential)
        shuffle(b);
    b->stride = (b->length_max + 3 * BLOCK) / BLOCK * BLOCK;
    void *memory;
    rc = an_pages_alloc(&memory, b->stride * (size_t)b->options.depth);
    b->memory = memory;
    return rc;
}

int main(int argc, char **argv)
{
    static bench b;
    char **arguments;
    an_log_init(spec.program, AN_LOG_INFO);
    int rc = an_options_init(&spec, &b.options);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &b.options, &arguments);
    if (!rc)
        rc = prepare(&b, arguments[0]);
    if (!rc)
        rc = run_rounds(&b);
    if (b.temporary[0])
        (void)unlink(b.temporary);
    if (rc < 0)
        an_log(AN_LOG_ERROR, "%s", an_error_message());
    return an_error_exit_code(rc);
}
