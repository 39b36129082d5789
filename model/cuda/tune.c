/* Proving kernels and measuring them against each other on the device. */
#include "model/cuda/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define RUNS 7
#define ALIGNMENT ((size_t)256)
#define SLOW 2        /* times the best one's time: a candidate that takes longer is not measured further */
#define CLEARLY 0.98f /* a candidate must take at most this share of the best one's time; a smaller gain is noise */

/* The driver's version in the key is the CUDA version that it supports, the only version that the runtime reports. */
int an_tune_key(const an_backend *cuda, an_tune_contest *contest)
{
    struct cudaDeviceProp p;
    int driver = 0;
    int rc =
        an_cuda_check(cudaGetDeviceProperties(&p, cuda->device), "ask for the properties of cuda:%d", cuda->device);
    if (!rc)
        rc = an_cuda_check(cudaDriverGetVersion(&driver), "ask for the version of the driver");
    if (rc)
        return rc;
    int length =
        snprintf(contest->key, AN_TUNE_KEY,
                 "%s, compute capability %d.%d, %d processors, driver %d, cuDNN %zu, cuBLASLt %zu: %s", p.name, p.major,
                 p.minor, p.multiProcessorCount, driver, cudnnGetVersion(), cublasLtGetVersion(), contest->operation);
    return length < AN_TUNE_KEY
               ? AN_OK
               : an_error(AN_EINTERNAL, "the name of an operation is too long: %s", contest->operation);
}

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int memory_make(void **out, const an_backend *cuda, size_t size, const char *what)
{
    return an_cuda_check(cudaMalloc(out, size),
                         "allocate %zu bytes on cuda:%d to compare and measure kernels of %s (%llu bytes are in use by "
                         "this network; a smaller batch needs less)",
                         size, cuda->device, what, (unsigned long long)cuda->memory);
}

int an_tune_scratch_make(an_tune_scratch *scratch, const an_backend *cuda, const size_t sizes[AN_TUNE_PARTS],
                         const char *what)
{
    size_t offset = 0, size = 0;
    *scratch = (an_tune_scratch){0};
    for (int i = 0; i < AN_TUNE_PARTS; i++)
        size += aligned(sizes[i]);
    int rc = memory_make(&scratch->memory, cuda, size, what);
    for (int i = 0; i < AN_TUNE_PARTS && !rc; i++) {
        scratch->parts[i] = sizes[i] ? (char *)scratch->memory + offset : NULL;
        offset += aligned(sizes[i]);
    }
    return rc;
}

int an_tune_scratch_reserve(an_tune_scratch *scratch, const an_backend *cuda, size_t size, const char *what)
{
    if (scratch->workspace && size <= scratch->workspace_size)
        return AN_OK;
    (void)cudaFree(scratch->workspace);
    scratch->workspace = NULL;
    scratch->workspace_size = size ? size : 1;
    return memory_make(&scratch->workspace, cuda, scratch->workspace_size, what);
}

/* Waits, as a reference may be queued that no candidate was compared with. Failures are ignored: if the device is lost,
 * the next call reports it. */
void an_tune_scratch_free(an_tune_scratch *scratch, const an_backend *cuda)
{
    (void)cudaStreamSynchronize(cuda->compute);
    (void)cudaFree(scratch->memory);
    (void)cudaFree(scratch->workspace);
    *scratch = (an_tune_scratch){0};
}

const an_choice *an_tune_kept(const an_backend *cuda, const an_tune_contest *contest)
{
    return cuda->choices ? an_choices_find(cuda->choices, contest->key) : NULL;
}

/* Adds a line, unless it is there: two devices of one kind, or two layers of one shape, find the same. */
static int tell(an_buffer *to, const char *line)
{
    if (!to || (to->size && strstr((const char *)to->data, line)))
        return AN_OK;
    return an_buffer_printf(to, "%s\n", line);
}

#define LINE (AN_TUNE_OPERATION + AN_PLAN_ENGINE_NAME + AN_PROOF_WHY + 192)

int an_tune_kept_tell(const an_backend *cuda, const an_tune_contest *contest, const an_choice *kept)
{
    char line[LINE];
    snprintf(line, sizeof line,
             "%s's kernel '%s', which was chosen before for %s, can no longer be used: another is chosen now, which "
             "can change the last bits of results",
             contest->library, kept->name, contest->operation);
    return tell(cuda->notes, line);
}

int an_tune_clock_make(const an_backend *cuda, an_tune_contest *contest)
{
    for (int i = 0; i < 2; i++) {
        int rc = an_cuda_check(cudaEventCreateWithFlags(&contest->proof.clock[i], cudaEventDefault),
                               "make an event on cuda:%d", cuda->device);
        if (rc)
            return rc;
    }
    return AN_OK;
}

void an_tune_clock_free(an_tune_contest *contest)
{
    for (int i = 0; i < 2; i++) {
        if (contest->proof.clock[i])
            (void)cudaEventDestroy(contest->proof.clock[i]);
        contest->proof.clock[i] = NULL;
    }
}

/* A candidate as the proof runs it. */
typedef struct {
    const an_tune_contest *contest;
    int candidate;
} entrant;

static int entrant_run(void *context)
{
    const entrant *e = context;
    return e->contest->run(e->contest->context, e->candidate);
}

/* Enters the time of a candidate that passed, or was too slow to be of interest. */
static void time_enter(an_tune_contest *contest, int candidate, bool passed, double microseconds)
{
    if (passed)
        contest->times[candidate] = microseconds;
    if (!passed || (contest->best > 0 && microseconds >= CLEARLY * contest->best)) {
        contest->stale++;
        return;
    }
    contest->best = microseconds;
    contest->stale = 0;
}

static int refusal_tell(const an_backend *cuda, const an_tune_contest *contest, int candidate, bool inexact,
                        const char *why)
{
    char line[LINE];
    const char *name = contest->name(contest->context, candidate);
    if (inexact)
        snprintf(line, sizeof line, "%s's kernel '%s' sums less exactly than asked for, so it is not used for %s: %s",
                 contest->library, name, contest->operation, why);
    else
        snprintf(line, sizeof line, "%s's kernel '%s' is not used for %s: %s", contest->library, name,
                 contest->operation, why);
    return tell(inexact ? cuda->remarks : cuda->notes, line);
}

int an_tune_prove(const an_backend *cuda, an_tune_contest *contest, int candidate, bool *passed)
{
    entrant e = {contest, candidate};
    an_proof_verdict verdict;
    double microseconds = 0;
    char why[AN_PROOF_WHY] = "";
    contest->proof.most = SLOW * contest->best;
    int rc = an_proof_try(&contest->proof, entrant_run, &e, &verdict, &microseconds, why);
    *passed = !rc && verdict == AN_PROOF_PASSED;
    if (rc)
        return rc;
    if (!*passed && ++contest->refused == 1)
        snprintf(contest->reason, sizeof contest->reason, "'%s': %s", contest->name(contest->context, candidate), why);
    if (contest->proof.clock[0] && (*passed || verdict == AN_PROOF_SLOW))
        time_enter(contest, candidate, *passed, microseconds);
    if (verdict != AN_PROOF_INEXACT && verdict != AN_PROOF_FAILED)
        return AN_OK;
    return refusal_tell(cuda, contest, candidate, verdict == AN_PROOF_INEXACT, why);
}

int an_tune_none(const an_tune_contest *contest)
{
    return an_error(
        AN_EUNSUPPORTED,
        "no kernel that %s offers for %s runs, computes rightly and gives the same bits twice (%d tried%s%s): "
        "take another --precision or --batch, or another version of %s",
        contest->library, contest->operation, contest->refused, contest->refused ? "; the first, " : "",
        contest->reason, contest->library);
}

static int ascending(const void *one, const void *other)
{
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

typedef struct {
    cudaEvent_t events[RUNS][AN_TUNE_CANDIDATES + 1]; /* before each candidate, and after the last */
    int count;
    bool out[AN_TUNE_CANDIDATES]; /* does not run: it is too slow */
} race;

static int events_make(race *r, const an_backend *cuda)
{
    int rc = AN_OK;
    for (int round = 0; round < RUNS && !rc; round++)
        for (int i = 0; i <= r->count && !rc; i++)
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
    for (int i = 0; i < r->count && !rc; i++) {
        rc = r->out[i] ? AN_OK : contest->run(contest->context, i);
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
 * of them alike. Their proofs have loaded the kernels. */
static int contest_run(const an_backend *cuda, const an_tune_contest *contest, int count, float *medians)
{
    race r = {.count = count};
    int rc = events_make(&r, cuda);
    for (int i = 0; i < count; i++) {
        medians[i] = (float)contest->times[i];
        r.out[i] = contest->times[i] > SLOW * contest->best;
    }
    if (!rc)
        rc = rounds_run(&r, cuda, contest);
    for (int i = 0; i < count && !rc; i++)
        if (!r.out[i])
            rc = median_read(&r, cuda, i, &medians[i]);
    events_free(&r);
    return rc;
}

int an_tune_decide(an_backend *cuda, const an_tune_contest *contest, int count, int *winner, double *microseconds)
{
    float times[AN_TUNE_CANDIDATES];
    char name[AN_PLAN_ENGINE_NAME], key[AN_TUNE_KEY];
    int rc = contest_run(cuda, contest, count, times);
    if (rc)
        return rc;
    *winner = 0;
    for (int i = 1; i < count; i++)
        if (times[i] < CLEARLY * times[*winner])
            *winner = i;
    *microseconds = times[*winner];
    snprintf(name, sizeof name, "%s", contest->name(contest->context, *winner));
    snprintf(key, sizeof key, "%s", contest->key);
    an_choice choice = {
        .key = key, .name = name, .microseconds = times[*winner], .first = times[0], .used = true, .measured = true};
    return an_choices_replace(cuda->choices, &choice);
}
