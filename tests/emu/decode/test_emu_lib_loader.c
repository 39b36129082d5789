/* liban's loader with a device, through its public headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include <an/an.h>

#include "tests/augment/fixture.h"
#include "tests/emu/emulator/emu.h"

enum { SIDE = 40, RECORDS = 61, BATCH = 8, EPOCHS = 3 };

static fixture set;
static liban_dataset *dataset;
static cudaStream_t stream;

static void ok(cudaError_t status)
{
    if (status != cudaSuccess)
        fail_msg("CUDA: %s", cudaGetErrorString(status));
}

static void done(int rc)
{
    if (rc)
        fail_msg("%d: %s", rc, liban_error_message());
}

static void no_violations(void)
{
    char text[512];
    if (emu_violations(text, sizeof text))
        fail_msg("the emulator complains: %s", text);
}

static int setup(void **state)
{
    static const an_codec codecs[] = {AN_CODEC_COEF, AN_CODEC_COEF, AN_CODEC_JPEG};
    (void)state;
    fixture_make(&set, RECORDS, SIDE, codecs, 3);
    done(liban_dataset_open(&dataset, set.path));
    ok(cudaSetDevice(0));
    ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ok(cudaStreamDestroy(stream));
    liban_dataset_free(dataset);
    fixture_drop(&set);
    return 0;
}

static liban_loader_options options_of(const char *device)
{
    liban_loader_options o = LIBAN_LOADER_OPTIONS_INIT;
    o.batch = BATCH;
    o.crop = 32;
    o.dtype = LIBAN_F32;
    o.mean = LIBAN_MEAN_DATASET;
    o.jitter = 0.1;
    o.mixup = 0.3;
    o.last = LIBAN_LAST_SHORT;
    o.threads = 2;
    o.slots = 2;
    o.device = device;
    return o;
}

static liban_loader *create(const liban_loader_options *o)
{
    liban_loader *loader;
    done(liban_loader_create(&loader, dataset, o));
    return loader;
}

static void refuse(const liban_loader_options *o, int rc, const char *why)
{
    liban_loader *loader;
    assert_int_equal(liban_loader_create(&loader, dataset, o), rc);
    assert_null(loader);
    if (!strstr(liban_error_message(), why))
        fail_msg("message '%s' lacks '%s'", liban_error_message(), why);
}

/* Before the module is loaded, which stays. */
static void without_the_module(void **state)
{
    (void)state;
    liban_loader_options o = options_of("cuda:0");
    char *module = strdup(getenv("AN_DECODE_MODULE"));
    assert_non_null(module);
    done(setenv("AN_DECODE_MODULE", "/nowhere/an_decode_cuda.so", 1));
    refuse(&o, LIBAN_EUNSUPPORTED, "device 'cuda:0': the CUDA decoder module cannot be read: AN_DECODE_MODULE names");
    done(unsetenv("AN_DECODE_MODULE"));
    refuse(&o, LIBAN_EUNSUPPORTED, "device 'cuda:0': the CUDA decoder module is not installed");
    done(liban_device_module("/nowhere/brought.so"));
    refuse(&o, LIBAN_EUNSUPPORTED, "/nowhere/brought.so");
    done(liban_device_module(module)); /* for the tests behind this one */
    free(module);
}

static void same(const liban_batch *got, const liban_batch *wanted, void *pinned)
{
    assert_int_equal(got->device, 0);
    assert_int_equal(wanted->device, -1);
    assert_int_equal(got->images_size, wanted->images_size);
    assert_int_equal(got->count, wanted->count);
    assert_int_equal(got->crop, wanted->crop);
    assert_int_equal(got->epoch, wanted->epoch);
    assert_int_equal(got->step, wanted->step);
    assert_int_equal(got->position, wanted->position);
    assert_int_equal(got->last, wanted->last);
    assert_memory_equal(got->labels, wanted->labels, got->count * sizeof *got->labels);
    assert_memory_equal(got->indices, wanted->indices, got->count * sizeof *got->indices);
    assert_memory_equal(got->shares, wanted->shares, got->count * sizeof *got->shares);
    ok(cudaMemcpyAsync(pinned, got->images, got->images_size, cudaMemcpyDeviceToHost, stream));
    ok(cudaStreamSynchronize(stream));
    assert_memory_equal(pinned, wanted->images, got->images_size);
}

/* Whole epochs with crops that grow, and statistics of what was lent. */
static void epochs_are_the_host_s(void **state)
{
    (void)state;
    static const liban_crop_change changes[] = {{1, 16}, {2, 40}};
    void *pinned;
    liban_batch *got, *wanted;
    liban_loader_stats stats;
    liban_loader_options o = options_of("cuda:0"), h = options_of(NULL);
    o.crop_changes = h.crop_changes = changes;
    o.crop_change_count = h.crop_change_count = 2;
    liban_loader *device = create(&o), *host = create(&h);
    ok(cudaHostAlloc(&pinned, (size_t)BATCH * SIDE * SIDE * 3 * 4, cudaHostAllocPortable));
    uint64_t batches = 0;
    for (int epochs = 0; epochs < EPOCHS;) {
        int rc = liban_loader_next(host, &wanted);
        assert_int_equal(liban_loader_next(device, &got), rc);
        epochs += rc == LIBAN_END;
        if (rc == LIBAN_END)
            continue;
        done(rc);
        batches++;
        assert_int_equal(liban_batch_use(wanted, stream), LIBAN_EINVAL);
        done(liban_batch_use(got, stream));
        same(got, wanted, pinned);
        done(liban_batch_release(got));
        done(liban_batch_release(wanted));
    }
    liban_loader_stats_get(device, &stats);
    assert_int_equal(stats.batches, batches);
    assert_int_equal(stats.samples, EPOCHS * RECORDS);
    liban_loader_free(device);
    liban_loader_free(host);
    ok(cudaFreeHost(pinned));
    no_violations();
}

/* The memory of a batch outlives its loader, and what a stream still does with it. */
static void batches_outlive_their_loader(void **state)
{
    (void)state;
    enum { HELD = 5 };
    liban_batch *batches[HELD], *wanted;
    void *pinned[HELD];
    liban_loader_options o = options_of("cuda:0"), h = options_of(NULL);
    liban_loader *device = create(&o), *host = create(&h);
    for (int i = 0; i < HELD; i++)
        done(liban_loader_next(device, &batches[i]));
    liban_loader_free(device);
    for (int i = HELD; i-- > 0;) {
        ok(cudaHostAlloc(&pinned[i], batches[i]->images_size, cudaHostAllocPortable));
        done(liban_batch_use(batches[i], stream));
        ok(cudaMemcpyAsync(pinned[i], batches[i]->images, batches[i]->images_size, cudaMemcpyDeviceToHost, stream));
        done(liban_batch_release(batches[i]));
    }
    ok(cudaStreamSynchronize(stream));
    for (int i = 0; i < HELD; i++) {
        done(liban_loader_next(host, &wanted));
        assert_memory_equal(pinned[i], wanted->images, wanted->images_size);
        done(liban_batch_release(wanted));
        ok(cudaFreeHost(pinned[i]));
    }
    liban_loader_free(host);
    no_violations();
}

static int no_memory(void *context, void **out, size_t size)
{
    (void)context, (void)out, (void)size;
    return LIBAN_ENOMEM;
}

static void nothing(void *context, void *memory, size_t size)
{
    (void)context, (void)memory, (void)size;
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    liban_loader_options o = options_of("cuda:0");
    o.memory_alloc = no_memory;
    o.memory_free = nothing;
    refuse(&o, LIBAN_EINVAL, "memory_alloc gives memory on the host");
    o = options_of("tpu");
    refuse(&o, LIBAN_EINVAL, "no device 'tpu'");
    o = options_of("cuda:9");
    refuse(&o, LIBAN_EUNSUPPORTED, "device 'cuda:9': no cuda:9");
    no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_module),
        cmocka_unit_test(epochs_are_the_host_s),
        cmocka_unit_test(batches_outlive_their_loader),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    (void)emu_violations(NULL, 0); /* from now on they do not end the process */
    return cmocka_run_group_tests(tests, setup, teardown);
}
