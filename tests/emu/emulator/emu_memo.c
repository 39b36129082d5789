/* What kernels that take long gave for the same operands before. A kernel here is a function of its arguments and of
 * what it reads, which are the key, as a hash; what it writes is kept. Networks are proved again each time one is made,
 * with the same numbers: without this, tests would mostly compute the same references over and over.
 *
 * AN_EMU_MEMO names a folder that processes share; without it results are kept in memory. Any stream's thread calls. */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "model/cuda/kernels/kernels.h"
#include "tests/emu/emulator/emu_private.h"

#define BUCKETS 1024
#define MOST ((size_t)64 << 20) /* bytes kept */

static const char *const names[] = {"an_device_proof_conv", "an_device_proof_weights", "an_device_proof_product"};

typedef struct entry {
    struct entry *next;
    emu_memo_key key;
    unsigned char bytes[];
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *buckets[BUCKETS];
static size_t kept;

/* The arguments, but of the places, which differ from run to run, only whether they are there. */
static void arguments_add(XXH3_state_t *state, const emu_kernel *kernel, const void *args)
{
    an_kernel_places places;
    unsigned char there[AN_KERNEL_OUT + AN_KERNEL_IN];
    memcpy(&places, args, sizeof places);
    for (int i = 0; i < AN_KERNEL_OUT; i++)
        there[i] = places.out[i] != NULL;
    for (int i = 0; i < AN_KERNEL_IN; i++)
        there[AN_KERNEL_OUT + i] = places.in[i] != NULL;
    XXH3_128bits_update(state, there, sizeof there);
    size_t rest = offsetof(an_kernel_places, items);
    XXH3_128bits_update(state, (const unsigned char *)args + rest, kernel->size - rest);
}

bool emu_memo_key_of(emu_memo_key *key, const emu_kernel *kernel, const void *args, const emu_extents *extents)
{
    bool known = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        known = known || !strcmp(kernel->name, names[i]);
    XXH3_state_t *state = known ? XXH3_createState() : NULL;
    if (!state)
        return false;
    if (XXH3_128bits_reset(state) != XXH_OK)
        abort();
    XXH3_128bits_update(state, kernel->name, strlen(kernel->name));
    arguments_add(state, kernel, args);
    for (int i = 0; i < extents->count; i++)
        if (!extents->each[i].write)
            XXH3_128bits_update(state, extents->each[i].at, extents->each[i].size);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    *key = (emu_memo_key){{hash.low64, hash.high64}};
    return true;
}

/* What the launch writes lies in one place. */
static const emu_extent *result_of(const emu_extents *extents)
{
    const emu_extent *found = NULL;
    for (int i = 0; i < extents->count; i++)
        if (extents->each[i].write) {
            if (found)
                abort();
            found = &extents->each[i];
        }
    return found;
}

static entry **bucket_of(const emu_memo_key *key)
{
    return &buckets[key->words[0] % BUCKETS];
}

static void path_of(char path[PATH_MAX], const char *folder, const emu_memo_key *key)
{
    snprintf(path, PATH_MAX, "%s/%016llx%016llx", folder, (unsigned long long)key->words[0],
             (unsigned long long)key->words[1]);
}

static bool file_read(const char *folder, const emu_memo_key *key, const emu_extent *result)
{
    char path[PATH_MAX];
    path_of(path, folder, key);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char *bytes = fd < 0 ? NULL : emu_new(result->size);
    bool whole = bytes && read(fd, bytes, result->size) == (ssize_t)result->size;
    if (whole)
        memcpy((void *)(uintptr_t)result->at, bytes, result->size);
    free(bytes);
    if (fd >= 0)
        close(fd);
    return whole;
}

/* Under another name first, so that nobody reads a part. A file that cannot be written is a result that is computed
 * again. */
static void file_write(const char *folder, const emu_memo_key *key, const emu_extent *result)
{
    char path[PATH_MAX], part[PATH_MAX];
    path_of(path, folder, key);
    if (snprintf(part, sizeof part, "%s/part-XXXXXX", folder) >= (int)sizeof part)
        return;
    int fd = mkstemp(part);
    if (fd < 0)
        return;
    bool whole = write(fd, result->at, result->size) == (ssize_t)result->size;
    if (close(fd) || !whole || rename(part, path))
        unlink(part);
}

bool emu_memo_recall(const emu_memo_key *key, const emu_extents *extents)
{
    const char *folder = getenv("AN_EMU_MEMO");
    const emu_extent *result = result_of(extents);
    if (folder)
        return file_read(folder, key, result);
    pthread_mutex_lock(&lock);
    const entry *e = *bucket_of(key);
    while (e && memcmp(&e->key, key, sizeof *key) != 0)
        e = e->next;
    if (e)
        memcpy((void *)(uintptr_t)result->at, e->bytes, result->size);
    pthread_mutex_unlock(&lock);
    return e;
}

void emu_memo_keep(const emu_memo_key *key, const emu_extents *extents)
{
    const char *folder = getenv("AN_EMU_MEMO");
    const emu_extent *result = result_of(extents);
    if (folder) {
        file_write(folder, key, result);
        return;
    }
    pthread_mutex_lock(&lock);
    if (kept + result->size <= MOST) {
        entry *e = emu_new(sizeof *e + result->size);
        e->key = *key;
        memcpy(e->bytes, result->at, result->size);
        e->next = *bucket_of(key);
        *bucket_of(key) = e;
        kept += result->size;
    }
    pthread_mutex_unlock(&lock);
}
