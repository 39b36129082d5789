/* Which engine suits a file. Measured on rgb records (196 kB): where the file is in the page cache already, a map is
 * twice as fast as any read. Where it is not, and is too large to stay there, O_DIRECT is twice as fast as reading
 * through the page cache. In between, reading through the page cache fills it in the first epoch, and the following
 * epochs are served from it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/file.h"
#include "store/reader/engine_private.h"

#define SAMPLES 256
#define RESIDENT_SHARE 0.95
#define TEXT_MAX 65536
#define AVAILABLE "MemAvailable:" /* kB */

/* Bytes that could be used without swapping, page cache that can be dropped included; 0: unknown. */
static uint64_t machine_memory(void)
{
    an_buffer text = {0};
    uint64_t bytes = 0;
    int rc = an_file_read("/proc/meminfo", TEXT_MAX, &text);
    if (!rc)
        rc = an_buffer_append(&text, "", 1);
    const char *line = rc ? NULL : strstr((const char *)text.data, AVAILABLE);
    if (line)
        bytes = strtoull(line + strlen(AVAILABLE), NULL, 10) * 1024;
    an_buffer_free(&text);
    return bytes;
}

/* Bytes that the page cache may grow to: of the machine, or of the control group if that is less. */
static uint64_t memory_for_cache(void)
{
    uint64_t machine = machine_memory(), limit = an_cgroup_memory("");
    return machine < limit ? machine : limit;
}

/* The share of a file's pages that are in the page cache, estimated from evenly spaced samples. RWF_NOWAIT reads only
 * what is there. (mincore is no use: it reports every page as present if the user may not write the file.) */
static double resident_share(const char *path, uint64_t size)
{
    const char *kind;
    int fd = an_file_open_kind(path, O_RDONLY, &kind), found = 0;
    if (fd < 0 || size == 0) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* a miss must not start reading ahead */
    for (uint64_t i = 0; i < SAMPLES; i++) {
        uint8_t byte;
        struct iovec one = {&byte, 1};
        found += preadv2(fd, &one, 1, (off_t)(size / SAMPLES * i), RWF_NOWAIT) == 1;
    }
    (void)close(fd);
    return (double)found / SAMPLES;
}

an_reader_engine an_reader_auto_choose(uint64_t size, uint64_t memory, double resident)
{
    if (resident >= RESIDENT_SHARE)
        return AN_READER_MMAP;
    return size > memory ? AN_READER_URING_DIRECT : AN_READER_URING;
}

int an_reader_auto(const char *path, uint64_t size, an_reader_engine *out, char **note)
{
    uint64_t memory = memory_for_cache();
    double resident = resident_share(path, size);
    *out = an_reader_auto_choose(size, memory, resident);
    if (asprintf(note, "auto: %s (%.0f %% of the file's %.1f GB are in the page cache, which may grow to %.1f GB)",
                 an_reader_engine_name(*out), 100 * resident, (double)size / 1e9, (double)memory / 1e9) < 0) {
        *note = NULL; /* asprintf leaves it undefined */
        return an_error(AN_ENOMEM, "out of memory: opening '%s'", path);
    }
    return AN_OK;
}
