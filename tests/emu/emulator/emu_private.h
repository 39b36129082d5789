/* What the files of the emulator share. One lock, emu_lock, guards all its state; a function that needs it held says
 * so. */
#ifndef AN_TESTS_EMU_EMULATOR_EMU_PRIVATE_H
#define AN_TESTS_EMU_EMULATOR_EMU_PRIVATE_H

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <time.h>

#include "tests/emu/emulator/emu.h"

#define EMU_ACCESSES 200 /* SGD touches six places of many tensors */

typedef struct {
    const void *at;
    size_t size;
    bool write;
    const char *what;
} emu_access;

typedef struct {
    const char *name;
    emu_access accesses[EMU_ACCESSES];
    int count;
    bool kernel;              /* one of the backend's own */
    void (*work)(void *data); /* runs on the stream's thread */
    void *data;               /* freed afterwards */
    unsigned cost;            /* microseconds that events tell on top of the time it took */
    bool waits;               /* it may wait for other processes */
    bool copy;                /* it may touch memory of other devices and of the host */
    bool pageable, unfit;     /* it uses memory that is not pinned; it cannot become a node of a graph */
    emu_counters bytes;       /* what it adds to the counters */
} emu_task;

void emu_access_add(emu_task *task, const void *at, size_t size, bool write, const char *what);
/* Checks the accesses and the current device, then queues. */
cudaError_t emu_submit(cudaStream_t stream, emu_task *task);
void emu_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The emulator's own address of device memory; other addresses are unchanged. */
void *emu_inside(const void *at);
int emu_current_device(void);
unsigned emu_cost_of(emu_library library, int proposal);
bool emu_refuses(emu_library library, int proposal);
emu_fault emu_fault_of(emu_library library, int proposal);
uint32_t emu_leftovers(void);
void *emu_new(size_t size); /* zeroed; never NULL */

/* How a faulty kernel of a library leaves its result. */
typedef struct {
    emu_fault fault;
    bool odd; /* every second run of any faulty kernel */
} emu_flaw;
emu_flaw emu_flaw_of(emu_library library, int proposal); /* counts a run */
/* Called with the place of the last value of the result, before and after it is written. */
void emu_flaw_before(const emu_flaw *flaw, const void *last, size_t size, uint32_t *kept);
void emu_flaw_after(const emu_flaw *flaw, void *last, size_t size, const uint32_t *kept);

/* Memory that a launch touches: an address and a number of bytes. */
typedef struct {
    const void *at;
    size_t size;
    bool write;
} emu_extent;

#define EMU_EXTENTS (EMU_ACCESSES - 4)
typedef struct {
    emu_extent each[EMU_EXTENTS];
    int count;
} emu_extents;

/* emu_extents.c: what a launch of the kernel with these arguments touches. */
void emu_extents_of(emu_extents *list, const char *kernel, const void *args);

/* emu_bodies.c: the backend's kernels, and behind them the decoder's. */
typedef struct {
    const char *name; /* as registered with the runtime: an_device_... */
    size_t size;      /* of the arguments */
    void (*run)(const void *args, uint64_t items);
} emu_kernel;
int emu_kernel_count(void);
const emu_kernel *emu_kernel_at(int number);
/* Runs all items. The places in the arguments are the emulator's own addresses. */
void emu_kernel_run(const emu_kernel *kernel, const void *args);
/* Reports an access that the arguments of the kernel which this thread runs do not describe. */
void emu_touch(const void *at, size_t size);

/* emu_memo.c: what a launch gave when it was last run on the same operands. */
typedef struct {
    uint64_t words[2];
} emu_memo_key;
bool emu_memo_key_of(emu_memo_key *key, const emu_kernel *kernel, const void *args,
                     const emu_extents *extents); /* false: of this kernel nothing is kept */
bool emu_memo_recall(const emu_memo_key *key,
                     const emu_extents *extents); /* writes what the launch would, if it is known */
void emu_memo_keep(const emu_memo_key *key, const emu_extents *extents);

/* emu_decode.c: the kernels of the decoder of batches. Their arguments begin as those of the backend's do. */
#define EMU_DECODE_KERNELS 3
extern const emu_kernel emu_decode_kernels[EMU_DECODE_KERNELS];
void emu_decode_extents(emu_extents *list, const char *kernel, const void *args);

/* Vector clocks. The host, each stream, and each stream that was captured into a graph has a component. */
#define EMU_CLOCKS 128

typedef struct {
    uint64_t at[EMU_CLOCKS];
} emu_clock;

/* While a graph is captured: the nodes that the next one depends on. Those that a planted mistake removed are waited
 * for, so that tests are free of races, but do not count as dependencies. */
#define EMU_TIPS 32
typedef struct {
    int node[EMU_TIPS];
    bool counts[EMU_TIPS];
    int count;
} emu_tips;

typedef struct emu_capture emu_capture;
typedef struct job emu_job;

typedef struct {
    char *base; /* as the program sees it */
    size_t size;
    int device;  /* -1: pinned host memory */
    bool mapped; /* host memory that devices may read and write */
    int writer;  /* the component that wrote last, when its clock was written */
    uint64_t written;
    emu_clock read; /* when each component last read it */
} emu_buffer;

struct CUevent_st {
    int device;
    uint64_t recorded, completed; /* sequence numbers */
    int waits;                    /* queued on streams, for it */
    bool timed;
    struct timespec time; /* of completion */
    uint64_t charged;     /* that of the stream, at completion */
    emu_clock clock;
    uint64_t captured; /* the number of the capture in which it was last recorded; 0: outside of any */
    emu_tips tips;     /* of that capture, at that time */
};

struct CUstream_st {
    int id, device;
    pthread_t thread;
    pthread_cond_t wake; /* its thread waits for this: there is something to do */
    emu_job *first, **last;
    uint64_t queued, done;
    bool quit, stopped;
    unsigned seed;
    emu_clock clock;
    uint64_t charged;     /* microseconds that its clock is ahead of real time, by planted costs */
    emu_capture *capture; /* the capture that takes what is queued; NULL: none */
    int chain;            /* the stream's number in that capture */
    emu_tips tips;
};

/* Who accesses memory (a component of the clocks), on which device, and what it knows to be done. */
typedef struct {
    int component, device;
    const emu_clock *clock;
} emu_place;

/* emu_buffers.c; under the lock, but for the first, which needs none. */
bool emu_is_device_address(const void *at);
emu_buffer *emu_buffer_find(const void *at);    /* the buffer that holds the address, or NULL */
emu_buffer *emu_buffer_at(size_t number);       /* NULL behind the last */
void *emu_buffer_make(size_t size, int device); /* as the program sees it */
/* Forgets it, and with release gives the memory back but never the addresses, so that a use after free is found.
 * Returns whether nobody wrote before or behind it. */
bool emu_buffer_drop(emu_buffer *b, bool release);

/* emu_runtime.c; all under the lock. */
extern pthread_mutex_t emu_lock;
void emu_violation_locked(const char *text);
void emu_merge(emu_clock *to, const emu_clock *from);
int emu_component_take(void);
void emu_component_give(int component);
void emu_tick(emu_clock *clock, int component);
bool emu_host_knows(int component, uint64_t at);
bool emu_lost(void);
bool emu_stream_check(cudaStream_t stream, const char *name);
struct CUstream_st *emu_stream(int number); /* 0 to EMU_CLOCKS - 1; NULL: there is none */
void emu_pause(unsigned *seed);             /* sleeps for a random time; call it without the lock */
/* Reports every wrong access; returns whether all lie within their buffers. */
bool emu_accesses_check(const emu_task *task, const emu_place *place);
void emu_account(const emu_task *task);
/* Orders the stream behind what the host knows, then queues. */
void emu_order(cudaStream_t stream);
void emu_queue(cudaStream_t stream, const emu_task *task);
cudaError_t emu_failed(cudaError_t status); /* for cudaGetLastError */

/* emu_graph.c; all under the lock. For streams that are captured, and events that were recorded in a capture. */
cudaError_t emu_capture_add(cudaStream_t stream, const emu_task *task);
cudaError_t emu_capture_record(cudaStream_t stream, cudaEvent_t event);
cudaError_t emu_capture_wait(cudaStream_t stream, cudaEvent_t event, bool dropped);
/* Called when the host does something that breaks a capture. */
cudaError_t emu_capture_break(emu_capture *capture);
/* Called for what a capture may forbid this thread, such as allocating. cudaSuccess if none does; else the capture is
 * broken. */
cudaError_t emu_capture_unsafe(void);

#endif
