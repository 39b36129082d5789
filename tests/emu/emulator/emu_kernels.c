/* Launches of kernels. A kernel is known by the name under which nvcc's code registers it. */
#include <stdlib.h>
#include <string.h>

#include "model/cuda/kernels/kernels.h"
#include "tests/emu/emulator/emu_private.h"

#define KERNELS_MAX 64

/* The pointers by which the host launches kernels. A kernel's place here is its number for emu_kernel_at. */
static const void *functions[KERNELS_MAX];
static const char *ignored;

void emu_ignore_kernel(const char *name)
{
    ignored = name;
}

typedef struct {
    const emu_kernel *kernel;
    an_kernel_places at; /* the beginning of the arguments, whose rest follows in memory */
} launch;

/* The groups of places in a launch's arguments: what works on many tensors has one for each of them besides its own.
 * NULL after the last. */
static an_kernel_places *places(launch *l, int number)
{
    an_sgd_args *sgd = (an_sgd_args *)(void *)&l->at;
    an_norm_args *norm = (an_norm_args *)(void *)&l->at;
    if (number == 0)
        return &l->at;
    if (!strncmp(l->kernel->name, "an_device_sgd", strlen("an_device_sgd"))) /* sgd, sgd_more, sgd_trust */
        return number <= sgd->count ? &sgd->tensors[number - 1].at : NULL;
    if (!strcmp(l->kernel->name, "an_device_norm"))
        return number <= norm->count ? &norm->tensors[number - 1].at : NULL;
    return NULL;
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
    emu_kernel_run(l->kernel, &l->at);
}

static void accesses_add(emu_task *task, const launch *l)
{
    emu_extents extents;
    emu_extents_of(&extents, l->kernel->name, &l->at);
    for (int i = 0; i < extents.count; i++) {
        const emu_extent *e = &extents.each[i];
        emu_access_add(task, e->at, e->size, e->write, e->write ? "what a kernel writes" : "what a kernel reads");
    }
}

cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **args, size_t shared,
                             cudaStream_t stream)
{
    (void)shared;
    for (int i = 0; i < emu_kernel_count(); i++) {
        const emu_kernel *kernel = emu_kernel_at(i);
        if (functions[i] != function)
            continue;
        if (ignored && !strcmp(ignored, kernel->name))
            return cudaSuccess;
        emu_task task = {.name = kernel->name, .kernel = true, .work = launch_work};
        launch *l = task.data = emu_new(offsetof(launch, at) + kernel->size);
        l->kernel = kernel;
        memcpy(&l->at, args[0], kernel->size);
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
    if (emu_kernel_count() > KERNELS_MAX)
        abort();
    for (int i = 0; i < emu_kernel_count(); i++)
        if (!strcmp(emu_kernel_at(i)->name, name))
            functions[i] = host;
}

/* What nvcc puts into the functions that stand for kernels on the host. They are never called: kernels.cu launches by
 * cudaLaunchKernel. */
int __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream);
int __cudaGetKernel(void *kernel, const void *function);
int __cudaLaunchKernel(void *kernel, dim3 grid, dim3 block, void **args, size_t shared, void *stream);

int __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream)
{
    (void)grid, (void)block, (void)shared, (void)stream;
    return cudaErrorNotSupported;
}

int __cudaGetKernel(void *kernel, const void *function)
{
    (void)kernel, (void)function;
    return cudaErrorNotSupported;
}

int __cudaLaunchKernel(void *kernel, dim3 grid, dim3 block, void **args, size_t shared, void *stream)
{
    (void)kernel, (void)grid, (void)block, (void)args, (void)shared, (void)stream;
    return cudaErrorNotSupported;
}
