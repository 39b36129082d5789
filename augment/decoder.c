/* The program's side of decoders of batches: the module is loaded when the first one is made, and everything is passed
 * on to it. */
#include "augment/decoder.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "augment/decoder_module.h"
#include "base/error.h"
#include "base/module/module.h"
#include "store/coef/format.h"

/* Its libraries are linked into it: it needs the driver alone, which it looks for itself. */
static const an_module_spec spec = {
    .name = "CUDA decoder",
    .vendor = "NVIDIA",
    .file = "an_decode_cuda.so",
    .file_variable = "AN_DECODE_MODULE",
    .folders_variable = "AN_CUDA_LIBRARIES",
    .vendor_folder = "/usr/local/cuda/lib64",
    .wheel_folders = "nvidia/*/lib",
    .libraries = NULL,
    .count = 0,
};

static const an_decoder_host host = {.error = an_error};

/* Set once, under the lock of load; whoever has a decoder may read it. */
static const an_decoder_api *api;

/* Nothing of a module of another version is looked at but the version. */
static int check(const an_decoder_module *module, const char *file)
{
    if (module->version == AN_DECODER_MODULE_VERSION && module->shared == sizeof(an_decoder_shared))
        return AN_OK;
    return an_error(AN_EUNSUPPORTED,
                    "the %s module '%s' belongs to another version of this program (its interface is %u, this "
                    "program's is %u): install both of one version",
                    spec.name, file, module->version, AN_DECODER_MODULE_VERSION);
}

/* Guards api while it is set, and the file that a program brings along. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char brought[PATH_MAX]; /* "": none */

static int find(char out[PATH_MAX])
{
    const char *named = getenv(spec.file_variable);
    if ((named && *named) || !*brought)
        return an_module_find(out, &spec);
    strcpy(out, brought);
    return AN_OK;
}

static int load(void)
{
    char file[PATH_MAX];
    void *symbol;
    int rc = find(file);
    if (rc)
        return rc;
    rc = an_module_open(&symbol, &spec, file, AN_DECODER_MODULE_SYMBOL);
    if (rc)
        return rc;
    const an_decoder_module *module = symbol;
    rc = check(module, file);
    if (rc)
        return rc;
    api = module->begin(&host);
    return AN_OK;
}

int an_decoder_module_load(const an_decoder_api **out)
{
    pthread_mutex_lock(&lock);
    int rc = api ? AN_OK : load();
    pthread_mutex_unlock(&lock);
    *out = api;
    return rc;
}

int an_decoder_module_bring(const char *file)
{
    size_t size = file ? strlen(file) + 1 : 1;
    if (size > sizeof brought)
        return an_error(AN_EINVAL, "the path of a module has %zu bytes: give fewer than %zu", size - 1, sizeof brought);
    pthread_mutex_lock(&lock);
    memcpy(brought, file ? file : "", size);
    pthread_mutex_unlock(&lock);
    return AN_OK;
}

int an_batch_decoder_create(an_batch_decoder **out, const an_batch_decoder_options *options)
{
    const an_decoder_api *loaded;
    *out = NULL;
    int rc = an_decoder_module_load(&loaded);
    return rc ? rc : loaded->create(out, options);
}

void an_batch_decoder_free(an_batch_decoder *decoder)
{
    if (decoder)
        api->free(decoder);
}

size_t an_batch_decoder_bytes(const an_batch_decoder *decoder)
{
    return api->bytes(decoder);
}

uint64_t an_batch_decoder_memory(const an_batch_decoder *decoder)
{
    return api->memory(decoder);
}

int an_batch_decoder_queue(an_batch_decoder *decoder, const void *block, size_t size, uint32_t count, void *samples,
                           void *stream)
{
    return api->queue(decoder, block, size, count, samples, stream);
}

int an_batch_decoder_result(an_batch_decoder *decoder, uint32_t *sample)
{
    return api->result(decoder, sample);
}

bool an_batch_decoder_takes(const void *payload, size_t size, uint32_t side)
{
    an_coef_layout layout;
    int rc = an_coef_layout_parse(&layout, payload, size);
    return !rc && layout.blocks.width == side && layout.blocks.height == side;
}
