/* A stand-in for the CUDA runtime, cuDNN and cuBLASLt, for tests: devices whose memory the host cannot touch, streams
 * that are threads, and checks on everything that real hardware would punish late or never. It is linked, or loaded,
 * before the real libraries; the programs are the same.
 *
 * DESIGN. Device memory has two addresses: the one the program sees is reserved and never accessible, the emulator's
 * own lies at a fixed distance. Each stream is a thread that works through its queue with random delays. Order is
 * checked when work is queued, not when it runs, so a missing wait is found whatever the threads do: every stream,
 * event and the host carries a vector clock (how much of each stream is known to come before), and every buffer
 * remembers who wrote and read it last. A violation is reported and ends the process, unless a test collects them.
 *
 * A captured stream runs nothing: what is queued becomes the nodes of a graph (emu_graph.c). A launch checks them
 * against the clocks with the order that the graph has, and runs them in any order that it allows.
 *
 * Environment: AN_EMU_DEVICES (2), AN_EMU_CAPTURE=0 refuses captures, AN_EMU_PEER=0 refuses peer access, AN_EMU_DELAY
 * (largest delay before an operation, in microseconds; 20), AN_EMU_LOST (all devices fail after so many operations),
 * AN_EMU_COST=2:500,3:500 (cuDNN's proposals take so many microseconds longer on the devices' clocks),
 * AN_EMU_REPORT=1 prints the counters at exit. */
#ifndef AN_TESTS_EMU_EMU_H
#define AN_TESTS_EMU_EMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t allocations;                  /* of device and pinned memory, and graphs instantiated */
    uint64_t host_waits;                   /* the host waited for a device, or a copy made it wait */
    uint64_t to_device, from_device, peer; /* bytes */
    uint64_t pageable;                     /* copies from or to memory that is not pinned */
    uint64_t operations;                   /* queued */
    uint64_t timings;                      /* times between events that were read */
    uint64_t launches;                     /* of the backend's own kernels, those in graphs among them */
    uint64_t graphs;                       /* that were launched; their nodes count as operations */
} emu_counters;

emu_counters emu_count(void);
/* Buffers of devices, or of pinned memory, whose use may go on for all that the host knows. */
int emu_in_flight(bool pinned);
void emu_peer_set(bool possible);
void emu_memory_set(size_t bytes); /* of each device; 0: no limit */
/* From now on violations are counted, not fatal; returns those since the last call and the text of the first. */
int emu_violations(char *first, size_t size);
/* Planted mistakes: the number-th wait for an event from now on counts for nothing; 0: none. */
void emu_drop_wait(int number);
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
/* From now on what a library runs by its proposal of that number (0, 1...; for all shapes) takes that much longer on
 * the devices' clocks. */
typedef enum { EMU_CUDNN, EMU_CUBLAS } emu_library;
void emu_cost(emu_library library, int proposal, unsigned microseconds);
/* The same for a byte that is copied from the host to a device. */
void emu_copy_cost(unsigned microseconds);
/* From now on a library's proposal of that number fails when it is run; -1: none does. */
void emu_refuse(emu_library library, int proposal);
void emu_driver_set(int version);
/* All devices fail after so many operations from now on, and so does every call that follows. */
#define EMU_NEVER UINT64_MAX
void emu_lose_after(uint64_t operations);
void emu_capability_set(int major, int minor); /* of all devices; 9.0 */
/* The number-th copy from now on that names its devices does so the wrong way round. */
void emu_swap_devices(int number);

#endif
