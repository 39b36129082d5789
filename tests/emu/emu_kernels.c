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
#include "model/cuda/kernels/bodies.h"

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
static const char *ignored;

void emu_ignore_kernel(const char *name)
{
    ignored = name;
}

typedef struct {
    const kernel *kernel;
    an_kernel_places at; /* args follow here in memory */
} launch;

/* The places that a launch touches, one group after another; NULL after the last. */
static an_kernel_places *places(launch *l, int number)
{
    if (number == 0)
        return &l->at;
    if (l->kernel->run != run_sgd)
        return NULL;
    an_sgd_args *sgd = (an_sgd_args *)(void *)&l->at;
    return number <= sgd->count ? &sgd->tensors[number - 1].at : NULL;
}

static void launch_work(void *data)
{
    launch *l = data;
    an_kernel_places *at;
    for (int group = 0; (at = places(l, group)); group++) {
        for (int i = 0; i < AN_KERNEL_OUT; i++)
            at->out[i] = emu_inside(at->out[i]);
        for (int i = 0; i < AN_KERNEL_IN; i++)
            at->in[i] = emu_inside(at->in[i]);
    }
    l->kernel->run(&l->at);
}

static void accesses_add(emu_task *task, launch *l)
{
    an_kernel_places *at;
    for (int group = 0; (at = places(l, group)); group++) {
        for (int i = 0; i < AN_KERNEL_OUT; i++)
            emu_access_add(task, at->out[i], 1, true, "what a kernel writes");
        for (int i = 0; i < AN_KERNEL_IN; i++)
            emu_access_add(task, at->in[i], 1, false, "what a kernel reads");
    }
}

cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **args, size_t shared,
                             cudaStream_t stream)
{
    (void)shared;
    for (size_t i = 0; i < KERNELS; i++) {
        if (functions[i] != function)
            continue;
        if (ignored && !strcmp(ignored, kernels[i].name))
            return cudaSuccess;
        emu_task task = {.name = kernels[i].name, .kernel = true, .work = launch_work};
        launch *l = task.data = emu_new(offsetof(launch, at) + kernels[i].size);
        l->kernel = &kernels[i];
        memcpy(&l->at, args[0], kernels[i].size);
        if (!grid.x || !block.x || block.x % 32)
            emu_violation("%s: impossible launch of %u blocks of %u threads", task.name, grid.x, block.x);
        accesses_add(&task, l);
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
