/* Finding NCCL, its functions, and what it reads from the environment. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/group/nccl_private.h"

#define OLDEST 21300 /* the first that has all functions in use */
#define SONAME "libnccl.so.2"

static const an_module_library libraries[] = {{SONAME, "libnccl2", "nvidia-nccl-cu13"}};

static const an_module_spec spec = {
    .name = "NCCL",
    .vendor = "NVIDIA",
    .file = SONAME,
    .file_variable = "AN_NCCL_LIBRARY",
    .folders_variable = "AN_NCCL_LIBRARIES",
    .vendor_folder = "/usr/local/cuda/lib64",
    .wheel_folders = "nvidia/nccl/lib",
    .libraries = libraries,
    .count = sizeof libraries / sizeof *libraries,
};

void an_nccl_name(int version, char out[AN_NCCL_TEXT])
{
    int thousands = version < 10000 ? 1000 : 10000; /* until 2.8 the code was 1000 * major + 100 * minor + patch */
    snprintf(out, AN_NCCL_TEXT, "NCCL %d.%d.%d", version / thousands, version % thousands / 100, version % 100);
}

static int version_check(const an_nccl *nccl)
{
    char name[AN_NCCL_TEXT];
    an_nccl_name(nccl->version, name);
    if (nccl->version >= OLDEST)
        return AN_OK;
    return an_error(AN_EUNSUPPORTED, "%s is too old: gradients are added up by NCCL 2.13 or later", name);
}

/* The library is open, so its soname leads to it. */
static int function_find(void *place, const char *name)
{
    void *symbol = NULL;
    int rc = an_module_open(&symbol, &spec, SONAME, name);
    memcpy(place, &symbol, sizeof symbol);
    return rc;
}

static int functions_find(an_nccl *nccl)
{
    const struct {
        void *place;
        const char *name;
    } functions[] = {
        {&nccl->GetUniqueId, "ncclGetUniqueId"},
        {&nccl->CommInitRank, "ncclCommInitRank"},
        {&nccl->CommGetAsyncError, "ncclCommGetAsyncError"},
        {&nccl->CommAbort, "ncclCommAbort"},
        {&nccl->CommDestroy, "ncclCommDestroy"},
        {&nccl->AllReduce, "ncclAllReduce"},
        {&nccl->GroupStart, "ncclGroupStart"},
        {&nccl->GroupEnd, "ncclGroupEnd"},
        {&nccl->GetLastError, "ncclGetLastError"},
    };
    int rc = AN_OK;
    for (size_t i = 0; i < sizeof functions / sizeof *functions && !rc; i++)
        rc = function_find(functions[i].place, functions[i].name);
    return rc;
}

static int load(an_nccl *nccl)
{
    int rc = an_module_open_libraries(&spec, ""); /* NCCL is no module of ours: there is no folder of it to look in */
    if (rc)
        return rc;
    rc = function_find(&nccl->GetVersion, "ncclGetVersion");
    if (rc)
        return rc;
    rc = function_find(&nccl->GetErrorString, "ncclGetErrorString");
    if (rc)
        return rc;
    an_nccl_result result = nccl->GetVersion(&nccl->version);
    if (result)
        return an_error(AN_EUNSUPPORTED, "NCCL does not tell its version: %s", nccl->GetErrorString(result));
    rc = version_check(nccl);
    if (rc)
        return rc;
    return functions_find(nccl);
}

int an_nccl_load(const an_nccl **out)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static an_nccl loaded;
    static bool done;
    int rc = AN_OK;
    pthread_mutex_lock(&lock);
    if (!done)
        rc = load(&loaded);
    done = !rc;
    pthread_mutex_unlock(&lock);
    *out = rc ? NULL : &loaded;
    return rc;
}

int an_nccl_failed(const an_nccl *nccl, an_nccl_result result, const char *subject)
{
    const char *said = nccl->GetLastError(NULL);
    char name[AN_NCCL_TEXT];
    an_nccl_name(nccl->version, name);
    if (said && strstr(said, "Duplicate GPU"))
        return an_error(AN_EUNSUPPORTED,
                        "%s: ranks share a GPU: give each rank its own (--devices auto). For trials NCCL 2.30 or later "
                        "lets them if NCCL_MULTI_RANK_GPU_ENABLE=1 is set; this is %s",
                        subject, name);
    return an_error(AN_EINTERNAL, "%s: %s says: %s%s%s", subject, name, nccl->GetErrorString(result),
                    said && *said ? ": " : "", said ? said : "");
}

static int keep(const char *name, const char *value)
{
    return setenv(name, value, 0) ? an_error(AN_ENOMEM, "out of memory") : AN_OK;
}

/* Whether the list names a device twice. */
static bool shares_device(const char *devices)
{
    const char *comma = strchr(devices, ',');
    return comma && (size_t)(comma - devices) == strlen(comma + 1) && !strncmp(devices, comma + 1, strlen(comma + 1));
}

int an_nccl_environment(bool deterministic, const char *devices)
{
    int rc = AN_OK;
    if (deterministic) /* other algorithms add up in an order that depends on what is ready first */
        rc = keep("NCCL_ALGO", "Ring");
    if (!rc && deterministic)
        rc = keep("NCCL_NVLS_ENABLE", "0");
    /* Two communicators of one GPU could wait for each other in a circle: their work is then done in the order in which
     * it is queued, which is the same on all ranks. From NCCL 2.26 on; earlier ones do not know the variable. */
    if (!rc && shares_device(devices))
        rc = keep("NCCL_LAUNCH_ORDER_IMPLICIT", "1");
    return rc;
}
