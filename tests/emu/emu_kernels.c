/* Kernels are known by the names that their registration gives; their bodies are the same source, compiled for the
 * host. */
#include <stdlib.h>
#include <string.h>

#include "tests/emu/emu_internal.h"

#define AN_BODY static inline __attribute__((unused))
#define AN_LANES 1
#define AN_LANE 0
#define AN_LANES_SUM(x) (x)
#define AN_LANES_MAX(x) (x)
#include "model/cuda/kernel_bodies.h"

typedef struct {
    const char *name;
    size_t size;
    void (*run)(void *args);
} kernel;

#define RUN(name, type)                                                                                                \
    static void run_##name(void *args)                                                                                 \
    {                                                                                                                  \
        const uint64_t items = ((const an_kernel_places *)args)->items;                                                \
        for (uint64_t i = 0; i < items; i++)                                                                           \
            an_body_##name((const type *)args, i);                                                                     \
    }
AN_KERNELS(RUN, RUN)

#define ENTRY(name, type) {"an_device_" #name, sizeof(type), run_##name},
static const kernel kernels[] = {AN_KERNELS(ENTRY, ENTRY)};
#define KERNELS (sizeof kernels / sizeof *kernels)

static const void *functions[KERNELS]; /* as registered */

typedef struct {
    const kernel *kernel;
    an_kernel_places at; /* args follow here in memory */
} launch;

static void launch_work(void *data)
{
    launch *l = data;
    for (int i = 0; i < AN_KERNEL_OUT; i++)
        l->at.out[i] = emu_inside(l->at.out[i]);
    for (int i = 0; i < AN_KERNEL_IN; i++)
        l->at.in[i] = emu_inside(l->at.in[i]);
    l->kernel->run(&l->at);
}

cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **args, size_t shared,
                             cudaStream_t stream)
{
    (void)shared;
    for (size_t i = 0; i < KERNELS; i++) {
        if (functions[i] != function)
            continue;
        emu_task task = {.name = kernels[i].name, .work = launch_work};
        launch *l = task.data = emu_new(offsetof(launch, at) + kernels[i].size);
        l->kernel = &kernels[i];
        memcpy(&l->at, args[0], kernels[i].size);
        if (!grid.x || !block.x || block.x % 32)
            emu_violation("%s: impossible launch of %u blocks of %u threads", task.name, grid.x, block.x);
        for (int k = 0; k < AN_KERNEL_OUT; k++)
            emu_access_add(&task, l->at.out[k], 1, true, "what a kernel writes");
        for (int k = 0; k < AN_KERNEL_IN; k++)
            emu_access_add(&task, l->at.in[k], 1, false, "what a kernel reads");
        return emu_submit(stream, &task);
    }
    emu_violation("a kernel is launched that was never registered");
    return cudaErrorInvalidDeviceFunction;
}

/* What nvcc's code calls before main. */
void **__cudaRegisterFatBinary(void *image);
void __cudaRegisterFatBinaryEnd(void **handle);
void __cudaUnregisterFatBinary(void **handle);
void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit, void *thread,
                            void *block, void *block_dim, void *grid_dim, int *warp);

void **__cudaRegisterFatBinary(void *image)
{
    static void *handle;
    handle = image;
    return &handle;
}

void __cudaRegisterFatBinaryEnd(void **handle)
{
    (void)handle;
}

void __cudaUnregisterFatBinary(void **handle)
{
    (void)handle;
}

void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit, void *thread,
                            void *block, void *block_dim, void *grid_dim, int *warp)
{
    (void)handle, (void)device, (void)limit, (void)thread, (void)block, (void)block_dim, (void)grid_dim, (void)warp;
    for (size_t i = 0; i < KERNELS; i++)
        if (!strcmp(kernels[i].name, name))
            functions[i] = host;
}
