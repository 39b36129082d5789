/* An emulator of the CUDA runtime, cuDNN, cuBLASLt and NCCL, for tests on machines without a GPU. It is linked or
 * loaded before the real libraries, so the programs under test are unchanged. It checks what real hardware would punish
 * late or never: the sizes, lifetimes and devices of memory, the descriptors, and the order of all work. This header is
 * for tests: it sets up devices, plants mistakes and reads counters. Its functions are called from the test's thread.
 *
 * DESIGN. Device memory has two addresses. The one that the program sees is reserved and never accessible; the
 * emulator's own lies at a fixed distance. A buffer has exactly the size that was asked for: accesses are checked
 * against it to the byte, and guard bytes around it are checked when it is freed. Each stream is a thread that works
 * through its queue with random delays.
 *
 * Order is checked when work is queued, not when it runs, so a missing wait is found however the threads happen to run.
 * Every stream, every event and the host have a vector clock, which holds how much of each stream's work is known to be
 * done before. Every buffer remembers who wrote and who read it last. A violation is reported and ends the process,
 * unless a test collects violations.
 *
 * A stream that is captured runs nothing: what is queued becomes the nodes of a graph (emu_graph.c). Launching the
 * graph checks the nodes against the clocks, in the order that the graph's edges define, and runs them in a random
 * order that the edges allow.
 *
 * Environment: AN_EMU_DEVICES (2), AN_EMU_CAPTURE=0 refuses captures, AN_EMU_PEER=0 refuses peer access, AN_EMU_DELAY
 * (largest delay before one in eight operations, in microseconds; 20), AN_EMU_LOST (all devices fail after so many
 * operations), AN_EMU_COST=2:500,3:500 (cuDNN's proposals take so many microseconds longer on the devices' clocks),
 * AN_EMU_FAULT=0:1:3,1:0:4 (library, proposal and fault, by their numbers below), AN_EMU_LEFTOVERS=1f (hexadecimal),
 * AN_EMU_STALL=1 (a host that waits for a stream says so and waits for ever), AN_EMU_MEMO (a folder in
 * which processes share the references of proofs), AN_EMU_REPORT=1 prints the counters at exit; NCCL's stand in
 * emu_nccl.c. */
#ifndef AN_TESTS_EMU_EMULATOR_EMU_H
#define AN_TESTS_EMU_EMULATOR_EMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t allocations;            /* of device and pinned memory, and graphs instantiated */
    uint64_t host_waits;             /* the host waited for a device, or a copy made it wait */
    uint64_t to_device, from_device; /* bytes */
    uint64_t peer, within;           /* bytes copied between devices, within one */
    uint64_t pageable;               /* copies from or to memory that is not pinned */
    uint64_t operations;             /* queued */
    uint64_t timings;                /* times between events that were read */
    uint64_t launches;               /* of the backend's own kernels, those in graphs among them */
    uint64_t graphs;                 /* that were launched; their nodes count as operations */
} emu_counters;

emu_counters emu_count(void);
/* The number of buffers, on devices or pinned, that may still be in use as far as the host knows. */
int emu_in_flight(bool pinned);
void emu_peer_set(bool possible);
void emu_memory_set(size_t bytes); /* of each device; 0: no limit */
void emu_pinned_set(size_t bytes); /* the largest piece of pinned memory that can be had; 0: no limit */
/* From the first call on violations are counted and no longer fatal. Returns their number since the last call, and the
 * text of the first. */
int emu_violations(char *first, size_t size);
/* Planted mistakes. The number-th wait for an event from now on takes place but does not count as one; 0: none. Returns
 * what was left of the number of the call before: 0 if that mistake has happened. */
int emu_drop_wait(int number);
/* The stream does nothing of what it is given until it is let go. */
void emu_stop_stream(void *stream, bool stopped);
/* The number-th operation from now on that a capture is to take is refused; the capture itself goes on. */
void emu_refuse_captured(int number);
typedef enum { EMU_NOTHING, EMU_INSTANTIATE, EMU_UPLOAD } emu_graph_call;
void emu_refuse_graph(emu_graph_call call); /* every one from now on */
/* From now on launches of that kernel of the backend's do nothing; NULL: all work. */
void emu_ignore_kernel(const char *name);
/* Kernels that a warp works on run with that many lanes: 32 as on a device, which is what they do from the start, or
 * 1. */
void emu_lanes_set(int lanes);
/* From now on the sums and maxima over lanes miss the values of that lane; -1: of none. */
void emu_drop_lane(int lane);
/* From now on that kernel works on one item more than its arguments say; NULL: none does. */
void emu_extra_item(const char *name);
/* From now on all operations that a library runs with its proposal of that number (0, 1...) take that much longer on
 * the devices' clocks. */
typedef enum { EMU_CUDNN, EMU_CUBLAS } emu_library;
void emu_cost(emu_library library, int proposal, unsigned microseconds);
/* A convolution as the emulated cuDNN is asked to run it. */
typedef struct {
    enum { EMU_FORWARD, EMU_DATA, EMU_WEIGHTS } pass;
    int channels, maps, groups; /* of x; of y */
    bool x_view, y_view;        /* some of a tensor's channels */
} emu_convolution;
/* From now on convolutions take as many microseconds longer on the devices' clocks as price says, and no engine accepts
 * those of which it says EMU_REFUSED; NULL: as before. */
#define EMU_REFUSED 0xffffffffU
void emu_price_set(unsigned (*price)(const emu_convolution *convolution));
/* The same for each byte that is copied from the host to a device. */
void emu_copy_cost(unsigned microseconds);
/* From now on the devices' clocks stand still but for what is charged as above, and for the time that a test lets pass:
 * no machine is too busy then for what the test expects. */
void emu_clocks_hold(void);
void emu_clocks_release(void);
/* Lets that much time pass on held clocks, once all that is queued is done. Not while a stream waits for the host. */
void emu_clocks_pass(unsigned microseconds);
/* From now on operations with a library's proposal of that number fail when they are run; -1: none do. */
void emu_refuse(emu_library library, int proposal);
/* What is wrong with a library's proposal of that number from now on, after what real ones were seen to do. */
typedef enum {
    EMU_SOUND,
    EMU_WRONG_PADDED,  /* cuDNN: pads in front as much as behind, where that is not the same */
    EMU_WRONG_GROUPED, /* cuDNN: all groups work on the input channels of the first */
    EMU_WRONG,         /* leaves out the last product of each sum */
    EMU_UNSTEADY,      /* gives other bits in every second run, without having said so */
    EMU_UNWRITTEN,     /* leaves the last value of the result as it was */
    EMU_COARSE         /* the last value of an fp32 result is off as if its sum had been kept with fewer bits */
} emu_fault;
void emu_fault_set(emu_library library, int proposal, emu_fault fault);
/* What the words of cuBLASLt's algorithms hold from now on beside what they mean; 0 at the start. */
void emu_leftovers_set(uint32_t bits);
void emu_driver_set(int version);
/* All devices fail after so many operations from now on, and so does every call that follows. */
#define EMU_NEVER UINT64_MAX
void emu_lose_after(uint64_t operations);
void emu_capability_set(int major, int minor); /* of all devices; 9.0 */
/* The number-th cudaMemcpyPeerAsync from now on has its two devices exchanged. */
void emu_swap_devices(int number);

#endif
