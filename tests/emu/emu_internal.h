/* What the parts of the emulator share. */
#ifndef AN_TESTS_EMU_INTERNAL_H
#define AN_TESTS_EMU_INTERNAL_H

#include <cuda_runtime_api.h>

#include "tests/emu/emu.h"

#define EMU_ACCESSES 132 /* SGD touches four places of many tensors */

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
void *emu_new(size_t size); /* zeroed; never NULL */

#endif
