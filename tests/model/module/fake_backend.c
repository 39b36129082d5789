/* A backend for a module that needs no device: it shows which functions of the program a module reaches. The module's
 * side is the CUDA backend's own, model/cuda/module/module.c. */
#include "base/error.h"
#include "model/backend_module.h"

static int fake_devices(an_buffer *out)
{
    return an_buffer_printf(out, "fake     %s, %d %%s\n", an_op_name(AN_OP_CONV), 7);
}

static int fake_open(an_backend **out, const an_backend_options *options)
{
    (void)out;
    an_error(AN_ENOMEM, "device '%s' is at 100 %%s", options->device);
    return an_error_prefix(AN_ENOMEM, "in the module, 50 %%s");
}

static uint64_t fake_memory(const an_backend *backend)
{
    (void)backend;
    return an_kind_find(AN_OP_CONV) ? an_rng_make(1, AN_RNG_DROPOUT, 2, 33).counter[2] : 0;
}

const an_backend_api an_backend_cuda = {
    .name = "fake", .devices = fake_devices, .open = fake_open, .memory = fake_memory};
