#include "model/cuda/library/algorithm.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/library/check.h"

#define WORDS (sizeof((cublasLtMatmulAlgo_t *)NULL)->data / sizeof(uint64_t))
#define PROPOSALS 16

/* The settings of an algorithm, with the bytes that their values take. */
static const struct {
    cublasLtMatmulAlgoConfigAttributes_t number;
    size_t size;
} settings[] = {{CUBLASLT_ALGO_CONFIG_TILE_ID, 4},          {CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4},
                {CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4}, {CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4},
                {CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4},    {CUBLASLT_ALGO_CONFIG_STAGES_ID, 4},
                {CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2},   {CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2}};
#define SETTINGS (sizeof settings / sizeof *settings)

static bool setting_get(const cublasLtMatmulAlgo_t *words, cublasLtMatmulAlgoConfigAttributes_t number, size_t size,
                        uint32_t *value)
{
    uint16_t narrow = 0;
    size_t written = 0;
    void *to = size == sizeof narrow ? (void *)&narrow : value;
    *value = 0;
    if (cublasLtMatmulAlgoConfigGetAttribute(words, number, to, size, &written) != CUBLAS_STATUS_SUCCESS)
        return false;
    if (size == sizeof narrow)
        *value = narrow;
    return true;
}

static bool setting_set(cublasLtMatmulAlgo_t *words, cublasLtMatmulAlgoConfigAttributes_t number, size_t size,
                        uint32_t value)
{
    uint16_t narrow = (uint16_t)value;
    const void *from = size == sizeof narrow ? (const void *)&narrow : &value;
    return cublasLtMatmulAlgoConfigSetAttribute(words, number, from, size) == CUBLAS_STATUS_SUCCESS;
}

/* Writes the name. What an algorithm does not have, the library does not tell, and the name leaves out. */
static bool name_write(const cublasLtMatmulAlgo_t *words, char name[AN_ALGORITHM_NAME])
{
    uint32_t value;
    if (!setting_get(words, CUBLASLT_ALGO_CONFIG_ID, sizeof value, &value))
        return false;
    int length = snprintf(name, AN_ALGORITHM_NAME, "%" PRIu32, value);
    for (size_t i = 0; i < SETTINGS; i++)
        if (setting_get(words, settings[i].number, settings[i].size, &value))
            length += snprintf(name + length, (size_t)(AN_ALGORITHM_NAME - length), " %d=%" PRIu32,
                               (int)settings[i].number, value);
    return true; /* the longest has 118 characters */
}

/* The name of an algorithm that an earlier version of this program wrote down as words. */
static bool words_read(const char *text, char name[AN_ALGORITHM_NAME])
{
    cublasLtMatmulAlgo_t words;
    int used = 0;
    for (size_t i = 0; i < WORDS; i++, text += used) {
        if (sscanf(text, i ? ".%16" SCNx64 "%n" : "%16" SCNx64 "%n", &words.data[i], &used) != 1)
            return false;
    }
    return !*text && name_write(&words, name);
}

/* Sets what a name says. A setting that has its value already is not set: an algorithm that does not know it has it. */
static bool settings_read(const char *text, cublasLtMatmulAlgo_t *words)
{
    while (*text) {
        int number, used;
        uint32_t value, now;
        size_t at = 0;
        if (sscanf(text, " %d=%" SCNu32 "%n", &number, &value, &used) != 2)
            return false;
        while (at < SETTINGS && (int)settings[at].number != number)
            at++;
        if (at == SETTINGS)
            return false;
        bool told = setting_get(words, settings[at].number, settings[at].size, &now);
        if ((!told || now != value) && !setting_set(words, settings[at].number, settings[at].size, value))
            return false;
        text += used;
    }
    return true;
}

/* Makes an algorithm from its name alone. False if the library does not make it for this product and device. */
static bool rebuild(const an_product *p, const char *name, an_algorithm *out)
{
    int number, used = 0;
    cublasLtMatmulHeuristicResult_t result = {0};
    cublasLtMatmulAlgo_t *words = &out->words;
    *out = (an_algorithm){0};
    if (sscanf(name, "%d%n", &number, &used) != 1)
        return false;
    if (cublasLtMatmulAlgoInit(p->handle, p->compute, CUDA_R_32F, p->type, p->type, p->type_d, p->type_d, number,
                               words) != CUBLAS_STATUS_SUCCESS)
        return false;
    if (!settings_read(name + used, words) || !name_write(words, out->name) || strcmp(name, out->name) != 0)
        return false;
    if (cublasLtMatmulAlgoCheck(p->handle, p->operation, p->a, p->b, p->d, p->d, words, &result) !=
        CUBLAS_STATUS_SUCCESS)
        return false;
    out->workspace = result.workspaceSize;
    return result.state == CUBLAS_STATUS_SUCCESS && out->workspace <= p->workspace;
}

static int preference_set(cublasLtMatmulPreference_t preference, const an_product *p)
{
    /* Reductions whose order depends on timing are excluded, so that every run gives the same bits. */
    uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    int rc = an_cublas_check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                                  &p->workspace, sizeof p->workspace),
                             "describe %s", p->subject);
    if (rc)
        return rc;
    return an_cublas_check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                                &schemes, sizeof schemes),
                           "describe %s", p->subject);
}

static int heuristic_ask(const an_product *p, cublasLtMatmulHeuristicResult_t results[PROPOSALS], int *found)
{
    cublasLtMatmulPreference_t preference;
    *found = 0;
    int rc = an_cublas_check(cublasLtMatmulPreferenceCreate(&preference), "describe %s", p->subject);
    if (rc)
        return rc;
    rc = preference_set(preference, p);
    if (!rc)
        rc = an_cublas_check(cublasLtMatmulAlgoGetHeuristic(p->handle, p->operation, p->a, p->b, p->d, p->d, preference,
                                                            PROPOSALS, results, found),
                             "find an algorithm for %s", p->subject);
    cublasStatus_t destroyed = cublasLtMatmulPreferenceDestroy(preference);
    if (rc)
        return rc;
    return an_cublas_check(destroyed, "describe %s", p->subject);
}

static bool is_listed(const an_algorithm *list, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(list[i].name, name))
            return true;
    return false;
}

int an_algorithms_propose(const an_product *p, an_algorithm *out, int room, int *count)
{
    cublasLtMatmulHeuristicResult_t results[PROPOSALS];
    int found;
    *count = 0;
    int rc = heuristic_ask(p, results, &found);
    if (rc)
        return rc;
    for (int i = 0; i < found && *count < room; i++) {
        char name[AN_ALGORITHM_NAME];
        /* The other members of a result that is marked as failed mean nothing. */
        if (results[i].state != CUBLAS_STATUS_SUCCESS || !name_write(&results[i].algo, name) ||
            is_listed(out, *count, name))
            continue;
        an_algorithm *made = &out[(*count)++];
        if (rebuild(p, name, made))
            continue;
        *made = (an_algorithm){.words = results[i].algo, .workspace = results[i].workspaceSize};
        memcpy(made->name, name, sizeof name);
    }
    return *count ? AN_OK : an_error(AN_EUNSUPPORTED, "cuBLASLt has no algorithm for %s", p->subject);
}

int an_algorithm_make(const an_product *p, const char *name, an_algorithm *out)
{
    an_algorithm proposals[PROPOSALS];
    char converted[AN_ALGORITHM_NAME];
    int count;
    if (words_read(name, converted))
        name = converted;
    if (rebuild(p, name, out))
        return AN_OK;
    int rc = an_algorithms_propose(p, proposals, PROPOSALS, &count);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++)
        if (!strcmp(proposals[i].name, name)) {
            *out = proposals[i];
            return AN_OK;
        }
    return an_error(AN_EUNSUPPORTED, "cuBLASLt has no algorithm '%s' for %s", name, p->subject);
}
