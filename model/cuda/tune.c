/* Measuring kernels against each other on the device. */
#include "model/cuda/tune_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#define RUNS 7
#define ALIGNMENT ((size_t)256)
#define ORDINARY                                                                                                       \
    0x3c /* each byte of a small number in bf16 and fp32; with zeros a device saves power and runs faster */
#define CLEARLY 0.98f /* a candidate must take at most this share of the best one's time; a smaller gain is noise */

/* The driver's version in the key is the CUDA version that it supports, the only version that the runtime reports. */
int an_tune_key(const an_backend *cuda, char key[AN_TUNE_KEY], const char *operation)
{
    struct cudaDeviceProp p;
    int driver = 0;
    int rc =
        an_cuda_check(cudaGetDeviceProperties(&p, cuda->device), "ask for the properties of cuda:%d", cuda->device);
    if (!rc)
        rc = an_cuda_check(cudaDriverGetVersion(&driver), "ask for the version of the driver");
    if (rc)
        return rc;
    int length = snprintf(
        key, AN_TUNE_KEY, "%s, compute capability %d.%d, %d processors, driver %d, cuDNN %zu, cuBLASLt %zu: %s", p.name,
        p.major, p.minor, p.multiProcessorCount, driver, cudnnGetVersion(), cublasLtGetVersion(), operation);
    return length < AN_TUNE_KEY ? AN_OK : an_error(AN_EINTERNAL, "the name of an operation is too long: %s", operation);
}

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

int an_tune_scratch_make(an_tune_scratch *scratch, const an_backend *cuda, const size_t sizes[AN_TUNE_PARTS],
                         void *parts[AN_TUNE_PARTS], const char *what)
{
    size_t offset = 0;
    *scratch = (an_tune_scratch){0};
    for (int i = 0; i < AN_TUNE_PARTS; i++)
        scratch->size += aligned(sizes[i]);
    int rc = an_cuda_check(cudaMalloc(&scratch->memory, scratch->size),
                           "allocate %zu bytes on cuda:%d to measure kernels of %s (%llu bytes are in use by this "
                           "network; a smaller batch needs less)",
                           scratch->size, cuda->device, what, (unsigned long long)cuda->memory);
    if (rc)
        return rc;
    for (int i = 0; i < AN_TUNE_PARTS; i++) {
        parts[i] = sizes[i] ? (char *)scratch->memory + offset : NULL;
        offset += aligned(sizes[i]);
    }
    return an_cuda_check(cudaMemsetAsync(scratch->memory, ORDINARY, scratch->size, cuda->compute),
                         "fill %zu bytes on cuda:%d", scratch->size, cuda->device);
}

/* A failure is ignored: if the device is lost, the next call reports it. */
void an_tune_scratch_free(an_tune_scratch *scratch)
{
    (void)cudaFree(scratch->memory);
    *scratch = (an_tune_scratch){0};
}

static int ascending(const void *one, const void *other)
{
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

/* Runs each candidate once, which may load its kernel. A candidate that its library refuses now drops out of the
 * contest; it is an error if all are refused, or if the device fails. */
static int candidates_try(const an_backend *cuda, const an_tune_contest *contest, bool *usable)
{
    int refused = AN_OK;
    bool any = false;
    for (int i = 0; i < contest->count; i++) {
        int rc = contest->run(contest->context, i);
        cudaError_t waited = cudaStreamSynchronize(cuda->compute);
        if (rc && waited != cudaSuccess)
            return rc;
        if (waited != cudaSuccess)
            return an_cuda_check(waited, "measure kernels on cuda:%d", cuda->device);
        usable[i] = !rc;
        any = any || !rc;
        refused = rc ? rc : refused;
    }
    return any ? AN_OK : refused;
}

typedef struct {
    cudaEvent_t events[RUNS][AN_TUNE_CANDIDATES + 1]; /* before each candidate, and after the last */
    bool usable[AN_TUNE_CANDIDATES];
} race;

static int events_make(race *r, const an_backend *cuda, int count)
{
    int rc = AN_OK;
    for (int round = 0; round < RUNS && !rc; round++)
        for (int i = 0; i <= count && !rc; i++)
            rc = an_cuda_check(cudaEventCreateWithFlags(&r->events[round][i], cudaEventDefault),
                               "make an event on cuda:%d", cuda->device);
    return rc;
}

static void events_free(race *r)
{
    for (int round = 0; round < RUNS; round++)
        for (int i = 0; i <= AN_TUNE_CANDIDATES; i++)
            if (r->events[round][i])
                (void)cudaEventDestroy(r->events[round][i]);
}

static int round_run(const race *r, const an_backend *cuda, const an_tune_contest *contest, int round)
{
    int rc = an_cuda_record(r->events[round][0], cuda->compute);
    for (int i = 0; i < contest->count && !rc; i++) {
        if (r->usable[i])
            rc = contest->run(contest->context, i);
        if (!rc)
            rc = an_cuda_record(r->events[round][i + 1], cuda->compute);
    }
    return rc;
}

/* The median of a candidate's times, in microseconds. */
static int median_read(const race *r, const an_backend *cuda, int candidate, float *median)
{
    float times[RUNS];
    for (int round = 0; round < RUNS; round++) {
        const cudaEvent_t *events = &r->events[round][candidate];
        int rc = an_cuda_check(cudaEventElapsedTime(&times[round], events[0], events[1]), "read the clock of cuda:%d",
                               cuda->device);
        if (rc)
            return rc;
    }
    qsort(times, RUNS, sizeof *times, ascending);
    *median = times[RUNS / 2] * 1e3f;
    return AN_OK;
}

static int rounds_run(race *r, const an_backend *cuda, const an_tune_contest *contest)
{
    int rc = AN_OK;
    for (int round = 0; round < RUNS && !rc; round++)
        rc = round_run(r, cuda, contest, round);
    cudaError_t waited = cudaStreamSynchronize(cuda->compute);
    if (rc)
        return rc;
    return an_cuda_check(waited, "measure kernels on cuda:%d", cuda->device);
}

/* Runs all candidates in each round, so that a clock which rises with the load or falls with the heat does so for all
 * of them alike. The median of a candidate that dropped out is infinite. */
static int contest_run(const an_backend *cuda, const an_tune_contest *contest, float *medians)
{
    race r = {0};
    int rc = candidates_try(cuda, contest, r.usable);
    if (!rc)
        rc = events_make(&r, cuda, contest->count);
    if (!rc)
        rc = rounds_run(&r, cuda, contest);
    for (int i = 0; i < contest->count && !rc; i++) {
        medians[i] = INFINITY;
        if (r.usable[i])
            rc = median_read(&r, cuda, i, &medians[i]);
    }
    events_free(&r);
    return rc;
}

int an_tune_decide(an_backend *cuda, const an_tune_contest *contest, int *winner, double *microseconds)
{
    float times[AN_TUNE_CANDIDATES];
    char name[AN_PLAN_ENGINE_NAME], key[AN_TUNE_KEY];
    int rc = contest_run(cuda, contest, times);
    if (rc)
        return rc;
    int first = 0;
    while (isinf(times[first]))
        first++;
    *winner = first;
    for (int i = first + 1; i < contest->count; i++)
        if (times[i] < CLEARLY * times[*winner])
            *winner = i;
    *microseconds = times[*winner];
    snprintf(name, sizeof name, "%s", contest->name(contest->context, *winner));
    snprintf(key, sizeof key, "%s", contest->key);
    an_choice choice = {.key = key,
                        .name = name,
                        .microseconds = times[*winner],
                        .first = times[first],
                        .used = true,
                        .measured = true};
    return an_choices_replace(cuda->choices, &choice);
}
