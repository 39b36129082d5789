/* The emulated CUDA runtime: devices, memory, streams, events and copies, and the check of every access. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/emu/emulator/emu_private.h"

#define DEVICES_MAX 8
#define MEMORY ((size_t)16 << 30) /* of a device, as it says */
#define PROPOSALS_MAX 8
#define PAUSES 8      /* of so many operations one begins late */
#define GREATEST (-5) /* priority of a stream: lower numbers come first */
#define HOST 0        /* the host's component of the clocks */

struct job {
    emu_job *next;
    emu_task task;
    cudaEvent_t record, wait; /* a job runs its task, records an event or waits for one */
    uint64_t sequence;
};
typedef emu_job job;

pthread_mutex_t emu_lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUstream_st *streams[EMU_CLOCKS];
static bool components[EMU_CLOCKS] = {[HOST] = true}; /* taken */
static int component_end = HOST + 1;                  /* behind the last that was ever taken */
static uint64_t clocks[EMU_CLOCKS];
static struct timespec held; /* what the devices' clocks show while a test holds them; 0: they run */
static emu_clock host;
static size_t memory_used[DEVICES_MAX], memory_limit, pinned_limit;
static bool peer_refused, peer_enabled[DEVICES_MAX][DEVICES_MAX], collecting;
static bool stalled; /* a host that waits for a stream waits for ever */
static int violations, drop_wait, swap_devices, device_count = 2, driver = 13000;
static unsigned delay = 20;
static unsigned costs[2][PROPOSALS_MAX], copy_cost;
static int refused[2] = {-1, -1}, capability = 90;
static emu_fault faults[2][PROPOSALS_MAX];
static unsigned faulty_runs;
static uint32_t leftovers;
static uint64_t lost_after; /* operations; 0: never */
static char first_violation[512];
static emu_counters counters;
static __thread int current;
static __thread cudaError_t last_error;

void *emu_new(size_t size)
{
    void *out = calloc(1, size ? size : 1);
    if (!out)
        abort();
    return out;
}

static void report_print(void)
{
    fprintf(stderr,
            "emu: %llu operations, %llu allocations, %llu host waits, %llu bytes in, %llu out, %llu between devices, "
            "%llu within them, %llu pageable copies, %llu graphs, %d violations\n",
            (unsigned long long)counters.operations, (unsigned long long)counters.allocations,
            (unsigned long long)counters.host_waits, (unsigned long long)counters.to_device,
            (unsigned long long)counters.from_device, (unsigned long long)counters.peer,
            (unsigned long long)counters.within, (unsigned long long)counters.pageable,
            (unsigned long long)counters.graphs, violations);
}

void emu_cost(emu_library library, int proposal, unsigned microseconds)
{
    if (proposal < 0 || proposal >= PROPOSALS_MAX)
        abort();
    pthread_mutex_lock(&emu_lock);
    costs[library][proposal] = microseconds;
    pthread_mutex_unlock(&emu_lock);
}

unsigned emu_cost_of(emu_library library, int proposal)
{
    pthread_mutex_lock(&emu_lock);
    unsigned cost = costs[library][proposal];
    pthread_mutex_unlock(&emu_lock);
    return cost;
}

void emu_copy_cost(unsigned microseconds)
{
    pthread_mutex_lock(&emu_lock);
    copy_cost = microseconds;
    pthread_mutex_unlock(&emu_lock);
}

void emu_refuse(emu_library library, int proposal)
{
    refused[library] = proposal;
}

bool emu_refuses(emu_library library, int proposal)
{
    return refused[library] == proposal;
}

void emu_fault_set(emu_library library, int proposal, emu_fault fault)
{
    if (proposal < 0 || proposal >= PROPOSALS_MAX)
        abort();
    pthread_mutex_lock(&emu_lock);
    faults[library][proposal] = fault;
    pthread_mutex_unlock(&emu_lock);
}

emu_fault emu_fault_of(emu_library library, int proposal)
{
    pthread_mutex_lock(&emu_lock);
    emu_fault fault = faults[library][proposal];
    pthread_mutex_unlock(&emu_lock);
    return fault;
}

emu_flaw emu_flaw_of(emu_library library, int proposal)
{
    emu_flaw flaw = {.fault = emu_fault_of(library, proposal)};
    pthread_mutex_lock(&emu_lock);
    flaw.odd = flaw.fault && faulty_runs++ % 2;
    pthread_mutex_unlock(&emu_lock);
    return flaw;
}

void emu_flaw_before(const emu_flaw *flaw, const void *last, size_t size, uint32_t *kept)
{
    if (flaw->fault == EMU_UNWRITTEN)
        memcpy(kept, last, size);
}

void emu_flaw_after(const emu_flaw *flaw, void *last, size_t size, const uint32_t *kept)
{
    if (flaw->fault == EMU_UNWRITTEN)
        memcpy(last, kept, size);
    if (flaw->fault == EMU_UNSTEADY && flaw->odd)
        *(unsigned char *)last ^= 1; /* the last bit of its significand */
    if (flaw->fault == EMU_COARSE && size == sizeof(float)) {
        float value;
        memcpy(&value, last, size);
        value += 5e-4F;
        memcpy(last, &value, size);
    }
}

void emu_leftovers_set(uint32_t bits)
{
    leftovers = bits;
}

uint32_t emu_leftovers(void)
{
    return leftovers;
}

void emu_lose_after(uint64_t more)
{
    pthread_mutex_lock(&emu_lock);
    lost_after = more == EMU_NEVER ? 0 : counters.operations + more;
    pthread_mutex_unlock(&emu_lock);
}

void emu_capability_set(int major, int minor)
{
    capability = major * 10 + minor;
}

static void costs_read(const char *text)
{
    int proposal, used;
    unsigned cost;
    for (; text && sscanf(text, "%d:%u%n", &proposal, &cost, &used) == 2; text += used + (text[used] == ','))
        emu_cost(EMU_CUDNN, proposal, cost);
}

static void faults_read(const char *text)
{
    int library, proposal, fault, used;
    for (; text && sscanf(text, "%1d:%d:%d%n", &library, &proposal, &fault, &used) == 3;
         text += used + (text[used] == ','))
        emu_fault_set((emu_library)(library & 1), proposal, (emu_fault)fault);
}

__attribute__((constructor)) static void start(void)
{
    const char *devices = getenv("AN_EMU_DEVICES"), *peer = getenv("AN_EMU_PEER"), *wait = getenv("AN_EMU_DELAY");
    if (devices)
        device_count = atoi(devices);
    const char *lost = getenv("AN_EMU_LOST");
    if (lost)
        lost_after = strtoull(lost, NULL, 10);
    if (wait)
        delay = (unsigned)atoi(wait);
    costs_read(getenv("AN_EMU_COST"));
    faults_read(getenv("AN_EMU_FAULT"));
    const char *bits = getenv("AN_EMU_LEFTOVERS");
    if (bits)
        leftovers = (uint32_t)strtoul(bits, NULL, 16);
    peer_refused = peer && !strcmp(peer, "0");
    stalled = getenv("AN_EMU_STALL");
    if (getenv("AN_EMU_REPORT"))
        atexit(report_print);
}

void emu_violation_locked(const char *text)
{
    if (!violations++)
        snprintf(first_violation, sizeof first_violation, "%s", text);
    if (collecting)
        return;
    fprintf(stderr, "emu: violation: %s\n", text);
    _exit(70);
}

void emu_violation(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&emu_lock);
    emu_violation_locked(text);
    pthread_mutex_unlock(&emu_lock);
}

int emu_violations(char *first, size_t size)
{
    pthread_mutex_lock(&emu_lock);
    int found = violations;
    collecting = true;
    if (first && size)
        snprintf(first, size, "%s", first_violation);
    violations = 0;
    first_violation[0] = '\0';
    pthread_mutex_unlock(&emu_lock);
    return found;
}

emu_counters emu_count(void)
{
    pthread_mutex_lock(&emu_lock);
    emu_counters out = counters;
    pthread_mutex_unlock(&emu_lock);
    return out;
}

void emu_peer_set(bool possible)
{
    peer_refused = !possible;
    memset(peer_enabled, 0, sizeof peer_enabled);
}

void emu_memory_set(size_t bytes)
{
    memory_limit = bytes;
}

void emu_pinned_set(size_t bytes)
{
    pinned_limit = bytes;
}

void emu_driver_set(int version)
{
    driver = version;
}

int emu_drop_wait(int number)
{
    int left = drop_wait;
    drop_wait = number;
    return left;
}

void emu_swap_devices(int number)
{
    swap_devices = number;
}

int emu_current_device(void)
{
    return current;
}

/* Clocks. */
void emu_merge(emu_clock *to, const emu_clock *from)
{
    for (int i = 0; i < component_end; i++)
        if (from->at[i] > to->at[i])
            to->at[i] = from->at[i];
}

static void complain(const emu_task *task, const emu_access *access, const char *why)
{
    char text[512];
    snprintf(text, sizeof text, "%s: %s (%zu bytes at %p) %s", task->name, access->what, access->size, access->at, why);
    emu_violation_locked(text);
}

static void order_check(const emu_task *task, const emu_access *access, const emu_buffer *b, const emu_clock *now)
{
    if (b->written > now->at[b->writer])
        complain(task, access,
                 access->write ? "is overwritten without waiting for the one who wrote it"
                               : "is read without waiting for the one who wrote it");
    for (int i = 0; i < component_end && access->write; i++)
        if (b->read.at[i] > now->at[i])
            complain(task, access, "is overwritten without waiting for one who reads it");
}

/* Whether the access lies within a buffer. */
static bool access_check(const emu_task *task, const emu_access *access, const emu_place *place)
{
    bool copy = task->copy;
    emu_buffer *b = emu_buffer_find(access->at);
    if (!b) {
        bool device = emu_is_device_address(access->at);
        if (device || !copy)
            complain(task, access, device ? "is freed, or beyond its buffer" : "is not device memory");
        return !device;
    }
    bool fits = (const char *)access->at + access->size <= b->base + b->size;
    if (!fits)
        complain(task, access, "runs beyond its buffer");
    if (b->device >= 0 && b->device != place->device && !copy && !peer_enabled[place->device][b->device])
        complain(task, access, "lies on another device");
    if (b->device < 0 && !copy && !b->mapped)
        complain(task, access, "is host memory");
    order_check(task, access, b, place->clock);
    uint64_t now = place->clock->at[place->component];
    if (access->write) {
        b->writer = place->component;
        b->written = now;
    } else
        b->read.at[place->component] = now;
    return fits;
}

bool emu_accesses_check(const emu_task *task, const emu_place *place)
{
    bool fits = true;
    for (int i = 0; i < task->count; i++)
        fits = access_check(task, &task->accesses[i], place) && fits;
    return fits;
}

void emu_access_add(emu_task *task, const void *at, size_t size, bool write, const char *what)
{
    if (!at || !size)
        return;
    if (task->count == EMU_ACCESSES)
        abort();
    task->accesses[task->count++] = (emu_access){at, size, write, what};
}

/* Who waits for work on a stream or for an event. Whoever brings it about wakes them, and nobody else. */
typedef struct waiter {
    struct waiter *next;
    pthread_cond_t wake;
    const struct CUstream_st *stream; /* until so many of its jobs are done; NULL: for the event */
    const struct CUevent_st *event;   /* until it completes; with unused until no stream waits for it either */
    uint64_t target;
    bool unused;
} waiter;
static waiter *waiters;

static bool waiter_ends(const waiter *w)
{
    if (w->stream)
        return w->stream->done >= w->target;
    return w->event->completed >= w->target && !(w->unused && w->event->waits);
}

/* Locked. */
static void await(waiter *w)
{
    if (waiter_ends(w))
        return;
    w->wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    w->next = waiters;
    waiters = w;
    while (!waiter_ends(w))
        pthread_cond_wait(&w->wake, &emu_lock);
    waiter **place = &waiters;
    while (*place != w)
        place = &(*place)->next;
    *place = w->next;
    pthread_cond_destroy(&w->wake);
}

/* Streams. */
static bool job_ready(const job *j)
{
    return !j->wait || j->wait->completed >= j->sequence;
}

/* Wakes who may go on now that a job is done; event: what it recorded, or NULL. Locked. */
static void wake_others(const struct CUevent_st *event)
{
    for (waiter *w = waiters; w; w = w->next)
        if (waiter_ends(w))
            pthread_cond_signal(&w->wake);
    for (int i = 1; i < component_end && event; i++)
        if (streams[i] && streams[i]->first && streams[i]->first->wait == event)
            pthread_cond_signal(&streams[i]->wake);
}

/* One in PAUSES sleeps: to fall asleep and wake up takes longer than most operations. */
void emu_pause(unsigned *seed)
{
    if (delay && (unsigned)rand_r(seed) % PAUSES == 0)
        usleep((unsigned)rand_r(seed) % delay);
}

static void job_run(struct CUstream_st *stream, job *j)
{
    if (j->task.work) {
        emu_pause(&stream->seed);
        j->task.work(j->task.data);
    }
    free(j->task.data);
}

static void advance(struct timespec *time, uint64_t microseconds)
{
    time->tv_sec += (time_t)(microseconds / 1000000);
    time->tv_nsec += (long)(microseconds % 1000000) * 1000;
}

static void event_complete(cudaEvent_t event, uint64_t sequence, const struct CUstream_st *stream)
{
    event->completed = sequence;
    event->charged = stream->charged;
    if (held.tv_sec)
        event->time = held;
    else
        clock_gettime(CLOCK_MONOTONIC, &event->time);
    advance(&event->time, stream->charged);
}

void emu_clocks_hold(void)
{
    pthread_mutex_lock(&emu_lock);
    clock_gettime(CLOCK_MONOTONIC, &held);
    held.tv_sec++; /* later than any event so far, and never 0 */
    pthread_mutex_unlock(&emu_lock);
}

void emu_clocks_release(void)
{
    pthread_mutex_lock(&emu_lock);
    held = (struct timespec){0};
    pthread_mutex_unlock(&emu_lock);
}

void emu_clocks_pass(unsigned microseconds)
{
    pthread_mutex_lock(&emu_lock);
    for (int i = 0; i < EMU_CLOCKS; i++)
        if (streams[i])
            await(&(waiter){.stream = streams[i], .target = streams[i]->queued});
    advance(&held, microseconds);
    pthread_mutex_unlock(&emu_lock);
}

static void *stream_main(void *context)
{
    struct CUstream_st *stream = context;
    pthread_mutex_lock(&emu_lock);
    for (;;) {
        while (!(stream->first && job_ready(stream->first) && !stream->stopped) && !(stream->quit && !stream->first))
            pthread_cond_wait(&stream->wake, &emu_lock);
        job *j = stream->first;
        if (!j)
            break;
        pthread_mutex_unlock(&emu_lock);
        job_run(stream, j);
        pthread_mutex_lock(&emu_lock);
        if (j->record && j->sequence > j->record->completed)
            event_complete(j->record, j->sequence, stream);
        if (j->wait) {
            j->wait->waits--;
            if (j->wait->charged > stream->charged)
                stream->charged = j->wait->charged;
        }
        stream->charged += j->task.cost;
        stream->first = j->next;
        if (!stream->first)
            stream->last = &stream->first;
        stream->done++;
        wake_others(j->record);
        free(j);
    }
    pthread_mutex_unlock(&emu_lock);
    return NULL;
}

/* Locked. */
static void queue(struct CUstream_st *stream, job *j)
{
    bool idle = !stream->first;
    *stream->last = j;
    stream->last = &j->next;
    stream->queued++;
    counters.operations++;
    if (idle)
        pthread_cond_signal(&stream->wake);
}

int emu_component_take(void)
{
    for (int i = 0; i < EMU_CLOCKS; i++)
        if (!components[i]) {
            components[i] = true;
            component_end = i < component_end ? component_end : i + 1;
            return i;
        }
    abort();
}

void emu_component_give(int component)
{
    components[component] = false;
}

void emu_tick(emu_clock *clock, int component)
{
    clock->at[component] = ++clocks[component];
}

bool emu_host_knows(int component, uint64_t at)
{
    return host.at[component] >= at;
}

void emu_order(cudaStream_t stream)
{
    emu_merge(&stream->clock, &host);
    emu_tick(&stream->clock, stream->id);
}

struct CUstream_st *emu_stream(int number)
{
    return streams[number];
}

void emu_account(const emu_task *task)
{
    counters.launches += task->kernel;
    counters.pageable += task->pageable;
    counters.graphs += task->bytes.graphs;
    counters.allocations += task->bytes.allocations;
    counters.operations += task->bytes.operations;
    counters.to_device += task->bytes.to_device;
    counters.from_device += task->bytes.from_device;
    counters.peer += task->bytes.peer;
    counters.within += task->bytes.within;
}

void emu_queue(cudaStream_t stream, const emu_task *task)
{
    job *j = emu_new(sizeof *j);
    j->task = *task;
    emu_account(task);
    queue(stream, j);
}

bool emu_stream_check(cudaStream_t stream, const char *name)
{
    for (int i = 1; i < component_end && stream; i++)
        if (streams[i] == stream) {
            if (stream->device != current)
                emu_violation_locked("work is queued on a stream of a device that is not current");
            return true;
        }
    char text[128];
    snprintf(text, sizeof text, "%s: not a stream of this program", name);
    emu_violation_locked(text);
    return false;
}

bool emu_lost(void)
{
    return lost_after && counters.operations >= lost_after;
}

static cudaError_t submit_locked(cudaStream_t stream, emu_task *task)
{
    if (emu_lost())
        return cudaErrorECCUncorrectable;
    if (!emu_stream_check(stream, task->name))
        return cudaErrorInvalidResourceHandle;
    if (stream->capture)
        return emu_capture_add(stream, task);
    emu_order(stream);
    bool fits = emu_accesses_check(task, &(emu_place){stream->id, stream->device, &stream->clock});
    if (task->kernel && !fits)
        task->work = NULL; /* it would compute with what lies behind its buffers */
    emu_queue(stream, task);
    return cudaSuccess;
}

/* The stream that a handle stands for. The default streams of a device are made when they are first used; NULL stands
 * for none, since nothing under test should use it by mistake. Like all streams here they wait for no other of
 * themselves. */
static cudaStream_t stream_of(cudaStream_t handle)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static cudaStream_t legacy[DEVICES_MAX];
    static __thread cudaStream_t own[DEVICES_MAX];
    if (handle != cudaStreamLegacy && handle != cudaStreamPerThread)
        return handle;
    cudaStream_t *stream = handle == cudaStreamLegacy ? &legacy[current] : &own[current];
    pthread_mutex_lock(&lock);
    if (!*stream && cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking))
        abort();
    pthread_mutex_unlock(&lock);
    return *stream;
}

cudaError_t emu_submit(cudaStream_t stream, emu_task *task)
{
    stream = stream_of(stream);
    pthread_mutex_lock(&emu_lock);
    cudaError_t status = submit_locked(stream, task);
    pthread_mutex_unlock(&emu_lock);
    if (status != cudaSuccess)
        free(task->data);
    return emu_failed(status);
}

cudaError_t emu_failed(cudaError_t status)
{
    if (status != cudaSuccess)
        last_error = status;
    return status;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = device_count;
    return device_count ? cudaSuccess : emu_failed(cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated device");
    p->major = capability / 10;
    p->minor = capability % 10;
    p->totalGlobalMem = MEMORY;
    p->multiProcessorCount = 132;
    return device < device_count ? cudaSuccess : emu_failed(cudaErrorInvalidDevice);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = driver;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    if (device < 0 || device >= device_count)
        return emu_failed(cudaErrorInvalidDevice);
    current = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = current;
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t status)
{
    return status == cudaErrorMemoryAllocation           ? "out of memory"
           : status == cudaErrorStreamCaptureUnsupported ? "operation not permitted when stream is capturing"
           : status == cudaSuccess                       ? "no error"
                                                         : "emulated error";
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t status = last_error;
    last_error = cudaSuccess;
    pthread_mutex_lock(&emu_lock);
    if (emu_lost()) /* this error is not cleared */
        status = cudaErrorECCUncorrectable;
    pthread_mutex_unlock(&emu_lock);
    return status;
}

cudaError_t cudaMalloc(void **out, size_t size)
{
    pthread_mutex_lock(&emu_lock);
    cudaError_t unsafe = emu_capture_unsafe();
    if (unsafe != cudaSuccess) {
        pthread_mutex_unlock(&emu_lock);
        return emu_failed(unsafe);
    }
    bool room = !memory_limit || memory_used[current] + size <= memory_limit;
    *out = room && size ? emu_buffer_make(size, current) : NULL;
    memory_used[current] += room ? size : 0;
    counters.allocations++;
    pthread_mutex_unlock(&emu_lock);
    return room ? cudaSuccess : emu_failed(cudaErrorMemoryAllocation);
}

cudaError_t cudaMemGetInfo(size_t *room, size_t *all)
{
    pthread_mutex_lock(&emu_lock);
    *all = memory_limit ? memory_limit : MEMORY;
    *room = *all > memory_used[current] ? *all - memory_used[current] : 0;
    pthread_mutex_unlock(&emu_lock);
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **out, size_t size, unsigned flags)
{
    pthread_mutex_lock(&emu_lock);
    cudaError_t unsafe = emu_capture_unsafe();
    if (unsafe == cudaSuccess && pinned_limit && size > pinned_limit)
        unsafe = cudaErrorMemoryAllocation;
    if (unsafe == cudaSuccess) {
        *out = emu_buffer_make(size, -1);
        emu_buffer_find(*out)->mapped = flags & cudaHostAllocMapped;
        counters.allocations++;
    }
    pthread_mutex_unlock(&emu_lock);
    return emu_failed(unsafe);
}

static bool flying(const emu_buffer *b)
{
    bool found = b->written > host.at[b->writer];
    for (int i = 0; i < component_end; i++)
        found = found || b->read.at[i] > host.at[i];
    return found;
}

int emu_in_flight(bool pinned)
{
    const emu_buffer *b;
    int found = 0;
    pthread_mutex_lock(&emu_lock);
    for (size_t i = 0; (b = emu_buffer_at(i)); i++)
        found += flying(b) && (b->device < 0) == pinned;
    pthread_mutex_unlock(&emu_lock);
    return found;
}

static cudaError_t free_locked(void *at)
{
    cudaError_t unsafe = emu_capture_unsafe();
    if (unsafe != cudaSuccess)
        return unsafe;
    emu_buffer *b = emu_buffer_find(at);
    if (!b || b->base != at) {
        emu_violation_locked("memory is freed that is not allocated");
        return cudaErrorInvalidValue;
    }
    bool used = flying(b);
    if (used)
        emu_violation_locked("a buffer is freed while work that uses it may be in flight");
    if (b->device >= 0)
        memory_used[b->device] -= b->size;
    if (!emu_buffer_drop(b, !used))
        emu_violation_locked("bytes before or behind a buffer were overwritten");
    return cudaSuccess;
}

static cudaError_t buffer_free(void *at)
{
    pthread_mutex_lock(&emu_lock);
    cudaError_t status = free_locked(at);
    pthread_mutex_unlock(&emu_lock);
    return emu_failed(status);
}

cudaError_t cudaFree(void *at)
{
    return at ? buffer_free(at) : cudaSuccess;
}

cudaError_t cudaFreeHost(void *at)
{
    return at ? buffer_free(at) : cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    (void)flags;
    struct CUstream_st *stream = emu_new(sizeof *stream);
    pthread_mutex_lock(&emu_lock);
    int id = emu_component_take();
    streams[id] = stream;
    stream->id = id;
    stream->seed = (unsigned)id;
    stream->device = current;
    stream->last = &stream->first;
    if (pthread_cond_init(&stream->wake, NULL))
        abort();
    pthread_mutex_unlock(&emu_lock);
    if (pthread_create(&stream->thread, NULL, stream_main, stream))
        abort();
    *out = stream;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    *least = 0;
    *greatest = GREATEST;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *out, unsigned flags, int priority)
{
    if (priority > 0 || priority < GREATEST) /* a device takes the nearest one it has */
        emu_violation("a stream's priority that no device has");
    return cudaStreamCreateWithFlags(out, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    pthread_mutex_lock(&emu_lock);
    if (stream->capture)
        emu_violation_locked("a stream is destroyed while it is captured");
    stream->quit = true;
    pthread_cond_signal(&stream->wake);
    pthread_mutex_unlock(&emu_lock);
    pthread_join(stream->thread, NULL);
    pthread_mutex_lock(&emu_lock);
    streams[stream->id] = NULL;
    emu_component_give(stream->id);
    pthread_mutex_unlock(&emu_lock);
    pthread_cond_destroy(&stream->wake);
    free(stream);
    return cudaSuccess;
}

/* Locked. */
static void host_wait(struct CUstream_st *stream)
{
    await(&(waiter){.stream = stream, .target = stream->queued});
    emu_merge(&host, &stream->clock);
}

/* As if the work on a stream did not end. Says so first, for who waits to end the process. */
static void stall(void)
{
    fputs("emu: stalled\n", stderr);
    for (;;)
        pause();
}

void emu_stop_stream(void *handle, bool stopped)
{
    cudaStream_t stream = stream_of(handle);
    pthread_mutex_lock(&emu_lock);
    stream->stopped = stopped;
    pthread_cond_signal(&stream->wake);
    pthread_mutex_unlock(&emu_lock);
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int *device)
{
    stream = stream_of(stream);
    pthread_mutex_lock(&emu_lock);
    bool known = false;
    for (int i = 1; i < component_end; i++)
        known = known || (stream && streams[i] == stream);
    *device = known ? stream->device : -1;
    pthread_mutex_unlock(&emu_lock);
    return known ? cudaSuccess : emu_failed(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    stream = stream_of(stream);
    pthread_mutex_lock(&emu_lock);
    bool known = emu_stream_check(stream, "cudaStreamSynchronize");
    if (known && stream->capture) {
        cudaError_t broken = emu_capture_break(stream->capture);
        pthread_mutex_unlock(&emu_lock);
        return emu_failed(broken);
    }
    if (known)
        host_wait(stream);
    counters.host_waits++;
    bool failing = emu_lost(), stalls = stalled;
    pthread_mutex_unlock(&emu_lock);
    if (stalls)
        stall();
    if (failing)
        return emu_failed(cudaErrorECCUncorrectable);
    return known ? cudaSuccess : emu_failed(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaDeviceSynchronize(void)
{
    pthread_mutex_lock(&emu_lock);
    cudaError_t broken = cudaSuccess;
    for (int i = 1; i < EMU_CLOCKS; i++)
        if (streams[i] && streams[i]->device == current && streams[i]->capture)
            broken = emu_capture_break(streams[i]->capture);
    for (int i = 1; i < EMU_CLOCKS && broken == cudaSuccess; i++)
        if (streams[i] && streams[i]->device == current)
            host_wait(streams[i]);
    counters.host_waits++;
    pthread_mutex_unlock(&emu_lock);
    return emu_failed(broken);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
    *out = emu_new(sizeof **out);
    (*out)->timed = !(flags & cudaEventDisableTiming);
    (*out)->device = current;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    pthread_mutex_lock(&emu_lock);
    await(&(waiter){.event = event, .target = event->recorded, .unused = true});
    pthread_mutex_unlock(&emu_lock);
    free(event);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    stream = stream_of(stream);
    pthread_mutex_lock(&emu_lock);
    bool known = emu_stream_check(stream, "cudaEventRecord");
    if (known && event->device != stream->device)
        emu_violation_locked("an event is recorded on another device's stream");
    if (known && stream->capture) {
        cudaError_t status = emu_capture_record(stream, event);
        pthread_mutex_unlock(&emu_lock);
        return emu_failed(status);
    }
    if (known) {
        job *j = emu_new(sizeof *j);
        emu_order(stream);
        event->captured = 0;
        event->clock = stream->clock;
        j->record = event;
        j->sequence = ++event->recorded;
        queue(stream, j);
    }
    pthread_mutex_unlock(&emu_lock);
    return known ? cudaSuccess : emu_failed(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    pthread_mutex_lock(&emu_lock);
    if (event->captured) {
        pthread_mutex_unlock(&emu_lock);
        return emu_failed(cudaErrorCapturedEvent);
    }
    await(&(waiter){.event = event, .target = event->recorded});
    emu_merge(&host, &event->clock);
    counters.host_waits++;
    bool failing = emu_lost();
    pthread_mutex_unlock(&emu_lock);
    return failing ? emu_failed(cudaErrorECCUncorrectable) : cudaSuccess;
}

/* Not a host wait: nothing stands still. */
cudaError_t cudaEventQuery(cudaEvent_t event)
{
    pthread_mutex_lock(&emu_lock);
    cudaError_t status = event->captured                       ? cudaErrorCapturedEvent
                         : emu_lost()                          ? cudaErrorECCUncorrectable
                         : event->completed >= event->recorded ? cudaSuccess
                                                               : cudaErrorNotReady;
    if (status == cudaSuccess)
        emu_merge(&host, &event->clock);
    pthread_mutex_unlock(&emu_lock);
    return emu_failed(status);
}

cudaError_t cudaEventElapsedTime(float *out, cudaEvent_t from, cudaEvent_t to)
{
    pthread_mutex_lock(&emu_lock);
    bool usable = from->timed && to->timed && from->recorded && to->recorded && !from->captured && !to->captured;
    if (!usable || from->completed < from->recorded || to->completed < to->recorded)
        emu_violation_locked("the time between events that have none, or have not happened");
    counters.timings++;
    *out = (float)((double)(to->time.tv_sec - from->time.tv_sec) * 1e3 +
                   (double)(to->time.tv_nsec - from->time.tv_nsec) * 1e-6);
    pthread_mutex_unlock(&emu_lock);
    return usable ? cudaSuccess : emu_failed(cudaErrorInvalidResourceHandle);
}

/* Unlike other work, a wait may be queued on a stream of any device. A wait that a planted mistake removes still takes
 * place, so that the tests are free of races, but the clocks ignore it. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    stream = stream_of(stream);
    pthread_mutex_lock(&emu_lock);
    bool dropped = drop_wait && (event->recorded || event->captured) && !--drop_wait;
    if (stream->capture || event->captured) {
        cudaError_t status = emu_capture_wait(stream, event, dropped);
        pthread_mutex_unlock(&emu_lock);
        return emu_failed(status);
    }
    if (event->recorded) {
        job *j = emu_new(sizeof *j);
        if (!dropped)
            emu_merge(&stream->clock, &event->clock);
        j->wait = event;
        j->sequence = event->recorded;
        event->waits++;
        queue(stream, j);
    }
    pthread_mutex_unlock(&emu_lock);
    return cudaSuccess;
}

/* Copies. */
typedef struct {
    void *to;
    const void *from;
    size_t size;
    int value; /* of a fill */
    void *staged;
} copy_data;

static void copy_work(void *data)
{
    copy_data *c = data;
    memcpy(emu_inside(c->to), emu_inside(c->from), c->size);
    free(c->staged);
}

static void fill_work(void *data)
{
    const copy_data *c = data;
    memset(emu_inside(c->to), c->value, c->size);
}

cudaError_t cudaMemsetAsync(void *at, int value, size_t size, cudaStream_t stream)
{
    emu_task task = {.name = "cudaMemsetAsync", .work = fill_work};
    copy_data *c = task.data = emu_new(sizeof *c);
    *c = (copy_data){.to = at, .size = size, .value = value};
    emu_access_add(&task, at, size, true, "the target");
    return emu_submit(stream, &task);
}

static bool is_known(const void *at)
{
    pthread_mutex_lock(&emu_lock);
    bool found = emu_buffer_find(at) != NULL;
    pthread_mutex_unlock(&emu_lock);
    return found;
}

/* The direction that the addresses say: within one device, or between two, which has no kind but the default. */
static enum cudaMemcpyKind kind_of(const emu_buffer *target, const emu_buffer *source)
{
    bool to_device = target && target->device >= 0, from_device = source && source->device >= 0;
    if (to_device && from_device)
        return target->device == source->device ? cudaMemcpyDeviceToDevice : cudaMemcpyDefault;
    return to_device ? cudaMemcpyHostToDevice : from_device ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost;
}

static uint64_t *bytes_of(emu_counters *bytes, enum cudaMemcpyKind kind)
{
    return kind == cudaMemcpyDefault          ? &bytes->peer
           : kind == cudaMemcpyDeviceToDevice ? &bytes->within
           : kind == cudaMemcpyHostToDevice   ? &bytes->to_device
                                              : &bytes->from_device;
}

static void kind_check(emu_task *task, const void *to, const void *from, size_t size, enum cudaMemcpyKind kind)
{
    pthread_mutex_lock(&emu_lock);
    const emu_buffer *target = emu_buffer_find(to), *source = emu_buffer_find(from);
    enum cudaMemcpyKind expected = kind_of(target, source);
    if (kind != expected)
        emu_violation_locked("a copy's direction is not what its addresses say");
    *bytes_of(&task->bytes, expected) = size;
    task->unfit = expected == cudaMemcpyDefault && !peer_enabled[target->device][source->device];
    pthread_mutex_unlock(&emu_lock);
}

/* As with real CUDA, memory that is not pinned is copied to a staging buffer at once if it is the source, and makes the
 * host wait if it is the target. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    emu_task task = {.name = "cudaMemcpyAsync", .work = copy_work, .copy = true};
    copy_data *c = task.data = emu_new(sizeof *c);
    *c = (copy_data){.to = to, .from = from, .size = size};
    kind_check(&task, to, from, size, kind);
    task.cost = kind == cudaMemcpyHostToDevice ? copy_cost * (unsigned)size : 0;
    bool pageable = task.pageable = !is_known(kind == cudaMemcpyHostToDevice ? from : to);
    if (pageable && kind == cudaMemcpyHostToDevice) {
        c->from = c->staged = emu_new(size);
        memcpy(c->staged, from, size);
    }
    emu_access_add(&task, to, size, true, "the target");
    emu_access_add(&task, from, size, false, "the source");
    void *staged = c->staged;
    cudaError_t status = emu_submit(stream, &task);
    if (status != cudaSuccess)
        free(staged); /* the task that would have freed it never runs */
    if (status == cudaSuccess && pageable && kind == cudaMemcpyDeviceToHost)
        status = cudaStreamSynchronize(stream);
    return emu_failed(status);
}

cudaError_t cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device, size_t size,
                                cudaStream_t stream)
{
    emu_task task = {.name = "cudaMemcpyPeerAsync", .work = copy_work, .copy = true};
    copy_data *c = task.data = emu_new(sizeof *c);
    *c = (copy_data){.to = to, .from = from, .size = size};
    pthread_mutex_lock(&emu_lock);
    if (swap_devices && !--swap_devices) {
        int other = to_device;
        to_device = from_device;
        from_device = other;
    }
    const emu_buffer *target = emu_buffer_find(to), *source = emu_buffer_find(from);
    if (!target || !source || target->device != to_device || source->device != from_device)
        emu_violation_locked("a copy between devices names a device that does not hold the memory");
    *(to_device == from_device ? &task.bytes.within : &task.bytes.peer) = size;
    task.unfit = true; /* refused in a capture, be it within one device (seen on an H100 with CUDA 13.0) */
    pthread_mutex_unlock(&emu_lock);
    emu_access_add(&task, to, size, true, "the target");
    emu_access_add(&task, from, size, false, "the source");
    return emu_submit(stream, &task);
}

cudaError_t cudaDeviceCanAccessPeer(int *out, int device, int peer)
{
    *out = !peer_refused && device != peer && device < device_count && peer < device_count;
    return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags)
{
    (void)flags;
    if (peer_refused || peer == current)
        return emu_failed(cudaErrorPeerAccessUnsupported);
    if (peer_enabled[current][peer])
        return emu_failed(cudaErrorPeerAccessAlreadyEnabled);
    peer_enabled[current][peer] = true;
    return cudaSuccess;
}
