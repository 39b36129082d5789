/* The emulated NCCL: communicators between processes, or between threads of one, that share memory.
 *
 * DESIGN. The unique id is the name of a piece of shared memory, which all ranks map and rank 0 then unlinks. A sum
 * goes through it in chunks. Each rank writes its chunk to one of its two places, posts the chunk's number, waits for
 * the same number from all others, and adds all of them up in the order of ranks. When a rank posts a number, it has
 * read all places of the number before; so two places suffice.
 *
 * To this process a group of sums is one task of a stream, whose accesses are checked like those of kernels and which
 * can become a node of a graph. Each communicator has a piece of device memory that its tasks seem to write. So two of
 * its tasks without an order between them are reported, and so is its end while one may be under way.
 *
 * As with the real one, a task waits for ranks that do not come until the communicator is aborted. After
 * AN_EMU_NCCL_PATIENCE seconds (120) it is a violation, and the task ends. A process that is gone is reported as an
 * asynchronous error. AN_EMU_NCCL_VERSION (23007) is what ncclGetVersion says; AN_EMU_NCCL_SHARED=1 lets devices of
 * the same number be one GPU for all processes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/emu/emulator/emu_private.h"
#include "train/group/nccl_private.h"

#define RANKS_MAX 16
#define CHUNK ((size_t)1 << 16) /* floats */
#define OPERATIONS_MAX 64       /* of a group, on one communicator */
#define POLL 50                 /* microseconds */

typedef struct {
    atomic_int pid, device;
    atomic_ullong posted;    /* number of the last chunk */
    atomic_ullong counts[2]; /* floats of the chunks at the two places */
} seat;

typedef struct {
    atomic_int joined;
    seat seats[RANKS_MAX];
    _Alignas(64) float places[]; /* ranks x 2 x CHUNK */
} table;

struct an_nccl_comm {
    an_nccl_comm *next;
    int rank, world, device;
    table *shared;
    size_t size;
    unsigned long long number; /* of the last chunk; used by the tasks, one after another */
    void *token;               /* device memory */
    atomic_bool stopped;
    atomic_int running;
    bool ended;
};

typedef struct {
    const float *from;
    float *to;
    size_t count;
} operation;

typedef struct {
    an_nccl_comm *comm;
    cudaStream_t stream;
    int count;
    operation all[OPERATIONS_MAX];
} sums;

/* The exported functions; NCCL's header is not there to declare them. */
an_nccl_result ncclGetVersion(int *version);
an_nccl_result ncclGetUniqueId(an_nccl_id *id);
an_nccl_result ncclCommInitRank(an_nccl_comm **out, int world, an_nccl_id id, int rank);
an_nccl_result ncclCommGetAsyncError(an_nccl_comm *comm, an_nccl_result *out);
an_nccl_result ncclCommAbort(an_nccl_comm *comm);
an_nccl_result ncclCommDestroy(an_nccl_comm *comm);
an_nccl_result ncclAllReduce(const void *from, void *to, size_t count, an_nccl_dtype dtype, an_nccl_op op,
                             an_nccl_comm *comm, void *stream);
an_nccl_result ncclGroupStart(void);
an_nccl_result ncclGroupEnd(void);
const char *ncclGetErrorString(an_nccl_result result);
const char *ncclGetLastError(an_nccl_comm *comm);

static an_nccl_comm *comms; /* all that there ever were */
static pthread_mutex_t comms_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread char last[256];
static __thread int depth; /* of groups that this thread has begun */
static __thread sums *collected;
static __thread int collected_count;

static int number_from(const char *variable, int otherwise)
{
    const char *text = getenv(variable);
    return text ? atoi(text) : otherwise;
}

an_nccl_result ncclGetVersion(int *version)
{
    *version = number_from("AN_EMU_NCCL_VERSION", 23007);
    return AN_NCCL_SUCCESS;
}

const char *ncclGetErrorString(an_nccl_result result)
{
    return result == AN_NCCL_SUCCESS         ? "no error"
           : result == AN_NCCL_INVALID_USAGE ? "invalid usage"
           : result == AN_NCCL_REMOTE_ERROR  ? "remote process exited or there was a network error"
                                             : "emulated error";
}

const char *ncclGetLastError(an_nccl_comm *comm)
{
    (void)comm;
    return last;
}

an_nccl_result ncclGetUniqueId(an_nccl_id *id)
{
    static atomic_int count;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "/an-emu-nccl-%d-%d-%ld", (int)getpid(), atomic_fetch_add(&count, 1),
             now.tv_nsec);
    return AN_NCCL_SUCCESS;
}

/* Whether so many seconds of patience are over, which begins with *since at 0. */
static bool is_late(struct timespec *since)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!since->tv_sec)
        *since = now;
    usleep(POLL);
    return now.tv_sec - since->tv_sec > number_from("AN_EMU_NCCL_PATIENCE", 120);
}

static bool table_map(an_nccl_comm *c, const char *name)
{
    c->size = sizeof(table) + (size_t)c->world * 2 * CHUNK * sizeof(float);
    int file = shm_open(name, O_CREAT | O_RDWR, 0600);
    if (file < 0)
        return false;
    void *place = MAP_FAILED;
    if (!ftruncate(file, (off_t)c->size))
        place = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)close(file);
    c->shared = place == MAP_FAILED ? NULL : place;
    return c->shared;
}

static bool all_join(an_nccl_comm *c, const char *name)
{
    struct timespec since = {0};
    seat *own = &c->shared->seats[c->rank];
    atomic_store(&own->pid, (int)getpid());
    atomic_store(&own->device, c->device);
    atomic_fetch_add(&c->shared->joined, 1);
    while (atomic_load(&c->shared->joined) < c->world)
        if (is_late(&since))
            return false;
    if (!c->rank)
        (void)shm_unlink(name);
    return true;
}

/* Two ranks on one device. */
static bool has_duplicates(const an_nccl_comm *c)
{
    bool shared = number_from("AN_EMU_NCCL_SHARED", 0);
    int version;
    (void)ncclGetVersion(&version);
    if (version >= 23000 && number_from("NCCL_MULTI_RANK_GPU_ENABLE", 0))
        return false;
    for (int i = 0; i < c->world; i++)
        for (int k = 0; k < i; k++) {
            seat *a = &c->shared->seats[i], *b = &c->shared->seats[k];
            if (atomic_load(&a->device) != atomic_load(&b->device) ||
                !(shared || atomic_load(&a->pid) == atomic_load(&b->pid)))
                continue;
            snprintf(last, sizeof last, "Duplicate GPU detected : rank %d and rank %d both on CUDA device %d", i, k,
                     c->device);
            return true;
        }
    return false;
}

static an_nccl_result comm_make(an_nccl_comm *c, const char *name)
{
    if (cudaMalloc(&c->token, sizeof(float)) != cudaSuccess) /* nor does the real one work inside a capture */
        return AN_NCCL_CUDA_ERROR;
    if (!table_map(c, name) || !all_join(c, name))
        return AN_NCCL_SYSTEM_ERROR;
    return has_duplicates(c) ? AN_NCCL_INVALID_USAGE : AN_NCCL_SUCCESS;
}

an_nccl_result ncclCommInitRank(an_nccl_comm **out, int world, an_nccl_id id, int rank)
{
    if (world < 1 || world > RANKS_MAX || rank < 0 || rank >= world)
        return AN_NCCL_INVALID_ARGUMENT;
    an_nccl_comm *c = emu_new(sizeof *c);
    c->rank = rank;
    c->world = world;
    c->device = emu_current_device();
    pthread_mutex_lock(&comms_lock);
    c->next = comms;
    comms = c;
    pthread_mutex_unlock(&comms_lock);
    an_nccl_result result = comm_make(c, id.internal);
    c->ended = result != AN_NCCL_SUCCESS;
    *out = c->ended ? NULL : c;
    return result;
}

/* Until all ranks have posted the chunk. */
static bool all_post(an_nccl_comm *c, unsigned long long number)
{
    struct timespec since = {0};
    for (int i = 0; i < c->world; i++)
        while (atomic_load(&c->shared->seats[i].posted) < number) {
            if (atomic_load(&c->stopped))
                return false;
            if (!is_late(&since))
                continue;
            emu_violation("ncclAllReduce: rank %d waits for rank %d, which does not come", c->rank, i);
            atomic_store(&c->stopped, true);
            return false;
        }
    return true;
}

static float *place_of(an_nccl_comm *c, int rank, unsigned long long number)
{
    return c->shared->places + ((size_t)rank * 2 + number % 2) * CHUNK;
}

static bool chunk_sum(an_nccl_comm *c, const float *from, float *to, size_t count)
{
    unsigned long long number = ++c->number;
    seat *own = &c->shared->seats[c->rank];
    memcpy(place_of(c, c->rank, number), from, count * sizeof *from);
    atomic_store(&own->counts[number % 2], count);
    atomic_store(&own->posted, number);
    if (!all_post(c, number))
        return false;
    for (int i = 0; i < c->world; i++) {
        const float *values = place_of(c, i, number);
        if (atomic_load(&c->shared->seats[i].counts[number % 2]) != count)
            emu_violation("ncclAllReduce: rank %d adds up another number of values than rank %d", c->rank, i);
        for (size_t k = 0; k < count; k++)
            to[k] = i ? to[k] + values[k] : values[k];
    }
    return true;
}

static void sums_work(void *data)
{
    const sums *s = data;
    atomic_fetch_add(&s->comm->running, 1);
    bool goes_on = !atomic_load(&s->comm->stopped);
    for (int i = 0; i < s->count; i++)
        for (size_t first = 0; first < s->all[i].count && goes_on; first += CHUNK) {
            const operation *o = &s->all[i];
            size_t left = o->count - first;
            goes_on = chunk_sum(s->comm, (const float *)emu_inside(o->from) + first, (float *)emu_inside(o->to) + first,
                                left < CHUNK ? left : CHUNK);
        }
    atomic_fetch_sub(&s->comm->running, 1);
}

static an_nccl_result sums_submit(const sums *s)
{
    emu_task task = {.name = "ncclAllReduce", .work = sums_work, .waits = true};
    int device = emu_current_device();
    for (int i = 0; i < s->count; i++) {
        size_t size = s->all[i].count * sizeof(float);
        if (s->all[i].from != s->all[i].to)
            emu_access_add(&task, s->all[i].from, size, false, "what is added up");
        emu_access_add(&task, s->all[i].to, size, true, "the sum");
    }
    emu_access_add(&task, s->comm->token, sizeof(float), true, "the communicator");
    task.data = emu_new(sizeof *s);
    memcpy(task.data, s, sizeof *s);
    (void)cudaSetDevice(s->comm->device);
    cudaError_t status = emu_submit(s->stream, &task);
    (void)cudaSetDevice(device);
    return status == cudaSuccess ? AN_NCCL_SUCCESS : AN_NCCL_CUDA_ERROR;
}

/* Those that this thread's group has collected for the communicator and stream. */
static sums *sums_find(an_nccl_comm *comm, cudaStream_t stream)
{
    for (int i = 0; i < collected_count; i++)
        if (collected[i].comm == comm && collected[i].stream == stream)
            return &collected[i];
    collected = realloc(collected, (size_t)(collected_count + 1) * sizeof *collected);
    if (!collected)
        abort();
    collected[collected_count] = (sums){.comm = comm, .stream = stream};
    return &collected[collected_count++];
}

static an_nccl_result group_end(void)
{
    an_nccl_result result = AN_NCCL_SUCCESS;
    for (int i = 0; i < collected_count && !result; i++)
        result = sums_submit(&collected[i]);
    free(collected);
    collected = NULL;
    collected_count = 0;
    return result;
}

an_nccl_result ncclGroupStart(void)
{
    depth++;
    return AN_NCCL_SUCCESS;
}

an_nccl_result ncclGroupEnd(void)
{
    if (!depth)
        return AN_NCCL_INVALID_USAGE;
    return --depth ? AN_NCCL_SUCCESS : group_end();
}

an_nccl_result ncclAllReduce(const void *from, void *to, size_t count, an_nccl_dtype dtype, an_nccl_op op,
                             an_nccl_comm *comm, void *stream)
{
    if (!comm || comm->ended) {
        emu_violation("ncclAllReduce: no communicator");
        return AN_NCCL_INVALID_ARGUMENT;
    }
    if (dtype != AN_NCCL_FLOAT32 || op != AN_NCCL_SUM)
        return AN_NCCL_INVALID_ARGUMENT;
    sums *s = sums_find(comm, stream);
    if (s->count == OPERATIONS_MAX)
        abort();
    s->all[s->count++] = (operation){from, to, count};
    return depth ? AN_NCCL_SUCCESS : group_end();
}

an_nccl_result ncclCommGetAsyncError(an_nccl_comm *comm, an_nccl_result *out)
{
    *out = AN_NCCL_SUCCESS;
    for (int i = 0; i < comm->world; i++)
        if (kill(atomic_load(&comm->shared->seats[i].pid), 0) && errno == ESRCH)
            *out = AN_NCCL_REMOTE_ERROR;
    return AN_NCCL_SUCCESS;
}

/* Comes back when nothing of it is under way. What was queued and has not begun then does nothing. */
an_nccl_result ncclCommAbort(an_nccl_comm *comm)
{
    atomic_store(&comm->stopped, true);
    while (atomic_load(&comm->running))
        usleep(POLL);
    comm->ended = true;
    (void)munmap(comm->shared, comm->size);
    return AN_NCCL_SUCCESS;
}

an_nccl_result ncclCommDestroy(an_nccl_comm *comm)
{
    if (comm->ended) {
        emu_violation("ncclCommDestroy: a communicator that has ended");
        return AN_NCCL_INVALID_ARGUMENT;
    }
    comm->ended = true;
    cudaError_t status = cudaFree(comm->token); /* reports work that may be under way, for which the memory stays */
    return status == cudaSuccess ? AN_NCCL_SUCCESS : AN_NCCL_CUDA_ERROR;
}
