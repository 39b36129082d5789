#include "model/cuda/proof/proof.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/library/check.h"
#include "model/cuda/proof/proof_private.h"

/* What a kernel may be off by that only sums with fewer bits than asked for: proof.h. */
#define INEXACT_MOST 4
#define INEXACT_PLACES (AN_PROOF_PLACES / 8)

#define PART 64           /* values of which at least a part of a digest is made */
#define NOT_A_NUMBER 0xFF /* each byte of one, in fp32 and in bf16 */

an_proof_point *an_proof_points(const an_proof *proof)
{
    return proof->room;
}

static an_proof_digest *digests_of(const an_proof *proof, int run)
{
    return (an_proof_digest *)(void *)(an_proof_points(proof) + AN_PROOF_PLACES) + (size_t)run * AN_PROOF_DIGESTS;
}

static float *errors_of(const an_proof *proof)
{
    return (float *)(void *)digests_of(proof, 2);
}

int an_proof_fill(const an_proof *proof, void *to, an_stored stored, uint64_t count, an_proof_seed seed, double scale)
{
    an_fill_args args = {.at = {.out = {to}, .items = count}, .seed = seed, .scale = (float)scale, .stored = stored};
    return an_cuda_check(an_kernel_fill(&args, proof->stream), "start the kernel 'fill'");
}

/* Numbers uniform between -1 and 1 have a variance of 1/3, and their products one of 1/9. */
double an_proof_scale(double products)
{
    return 3 / sqrt(products);
}

float an_proof_each(double products)
{
    return (float)(an_proof_scale(products) / 3);
}

void an_proof_allow(an_proof *proof, an_cuda_precision precision, double products)
{
    double rounding = ldexp(1, -22), growth = ldexp(1, -12) + ldexp(sqrt(products), -18), cut = ldexp(products, -23);
    if (precision == AN_CUDA_TF32) {
        rounding = ldexp(1, -9);
        growth = ldexp(1, -7) + cut;
    }
    if (precision == AN_CUDA_BF16) {
        rounding = proof->stored == AN_STORED_BF16 ? ldexp(1, -8) : ldexp(1, -22);
        growth = ldexp(1, -9) + cut;
    }
    proof->rounding = (float)rounding;
    proof->growth = (float)growth;
}

static size_t size_of(an_stored stored)
{
    return stored == AN_STORED_F32 ? 4 : 2;
}

static int result_prepare(const an_proof *proof)
{
    if (proof->adds)
        return an_proof_fill(proof, proof->result, proof->stored, proof->values, AN_PROOF_SEED_RESULT, 1);
    return an_cuda_check(
        cudaMemsetAsync(proof->result, NOT_A_NUMBER, proof->values * size_of(proof->stored), proof->stream),
        "fill %llu values", (unsigned long long)proof->values);
}

/* Parts of which digests are made: many for a device to share, few to fetch of a small result. */
static uint64_t parts_of(const an_proof *proof)
{
    uint64_t parts = (proof->values + PART - 1) / PART;
    return parts < AN_PROOF_DIGESTS ? parts : AN_PROOF_DIGESTS;
}

static int digest(const an_proof *proof, int run)
{
    an_proof_digest_args args = {
        .at = {.out = {digests_of(proof, run)}, .in = {proof->result}, .items = parts_of(proof)},
        .values = proof->values,
        .stored = proof->stored};
    return an_cuda_check(an_kernel_proof_digest(&args, proof->stream), "start the kernel 'proof_digest'");
}

static int compare(const an_proof *proof)
{
    an_proof_compare_args args = {
        .at = {.out = {errors_of(proof)}, .in = {proof->result, an_proof_points(proof)}, .items = AN_PROOF_PLACES},
        .values = proof->values,
        .rounding = proof->rounding,
        .growth = proof->growth,
        .slack = proof->slack,
        .stored = proof->stored};
    return an_cuda_check(an_kernel_proof_compare(&args, proof->stream), "start the kernel 'proof_compare'");
}

static int wait(const an_proof *proof)
{
    return an_cuda_check(cudaStreamSynchronize(proof->stream), "wait for a kernel that is tried");
}

static int clock_record(const an_proof *proof, int number)
{
    return proof->clock[number] ? an_cuda_check(cudaEventRecord(proof->clock[number], proof->stream), "record an event")
                                : AN_OK;
}

static int clock_read(const an_proof *proof, double *microseconds)
{
    float milliseconds = 0;
    *microseconds = 0;
    if (!proof->clock[0])
        return AN_OK;
    int rc = wait(proof);
    if (!rc)
        rc = an_cuda_check(cudaEventElapsedTime(&milliseconds, proof->clock[0], proof->clock[1]), "read a clock");
    *microseconds = (double)milliseconds * 1e3;
    return rc;
}

static bool is_too_slow(const an_proof *proof, int number, double microseconds)
{
    return proof->most > 0 && microseconds > proof->most && (number > 0 || microseconds > AN_PROOF_PATIENCE);
}

/* One run of the kernel. Where its library refuses it, the device may have failed as well, which is an error. */
static int run_once(const an_proof *proof, int number, int (*run)(void *context), void *context,
                    an_proof_verdict *verdict, double *microseconds, char why[AN_PROOF_WHY])
{
    int rc = result_prepare(proof);
    if (!rc)
        rc = clock_record(proof, 0);
    if (rc)
        return rc;
    if (run(context) < 0) {
        *verdict = AN_PROOF_REFUSED;
        snprintf(why, AN_PROOF_WHY, "it does not run: %.*s", AN_PROOF_WHY - 20, an_error_message());
        return wait(proof);
    }
    rc = clock_record(proof, 1);
    if (!rc)
        rc = digest(proof, number);
    if (!rc)
        rc = clock_read(proof, microseconds);
    if (rc || !is_too_slow(proof, number, *microseconds))
        return rc;
    *verdict = AN_PROOF_SLOW;
    snprintf(why, AN_PROOF_WHY, "it takes %.0f us, more than %.0f", *microseconds, proof->most);
    return AN_OK;
}

/* What comes back from the device. */
typedef struct {
    an_proof_digest digests[2][AN_PROOF_DIGESTS];
    uint64_t parts; /* of those */
    float errors[AN_PROOF_PLACES];
} findings;

static int fetch(const an_proof *proof, findings *found)
{
    int rc = AN_OK;
    found->parts = parts_of(proof);
    size_t size = found->parts * sizeof **found->digests;
    for (int run = 0; run < 2 && !rc; run++)
        rc = an_cuda_check(
            cudaMemcpyAsync(found->digests[run], digests_of(proof, run), size, cudaMemcpyDeviceToHost, proof->stream),
            "copy %zu bytes from the device", size);
    if (!rc)
        rc = an_cuda_check(cudaMemcpyAsync(found->errors, errors_of(proof), sizeof found->errors,
                                           cudaMemcpyDeviceToHost, proof->stream),
                           "copy %zu bytes from the device", sizeof found->errors);
    if (rc)
        return rc;
    return wait(proof);
}

/* The places where a result is not what it should be. */
typedef struct {
    int count;
    double worst; /* by how many times the bound */
} faults;

static faults faults_of(const findings *found)
{
    faults f = {0, 0};
    for (int i = 0; i < AN_PROOF_PLACES; i++)
        if (!(found->errors[i] <= 1)) { /* or is no number */
            f.count++;
            f.worst = isnan(found->errors[i]) ? INFINITY : fmax(f.worst, found->errors[i]);
        }
    return f;
}

static an_proof_verdict judge(const findings *found, uint64_t gaps, char why[AN_PROOF_WHY])
{
    unsigned long long lost = 0;
    faults wrong = faults_of(found);
    for (uint64_t i = 0; i < found->parts; i++)
        lost += found->digests[0][i].lost;
    if (lost > gaps)
        snprintf(why, AN_PROOF_WHY, "%llu values of its result are missing or infinite", lost - gaps);
    else if (lost < gaps)
        snprintf(why, AN_PROOF_WHY, "it writes %llu values beside its result", gaps - lost);
    else if (wrong.worst > INEXACT_MOST || wrong.count > INEXACT_PLACES)
        snprintf(why, AN_PROOF_WHY,
                 "%d of %d values of its result are wrong, by up to %.3g times what rounding explains", wrong.count,
                 AN_PROOF_PLACES, wrong.worst);
    else if (memcmp(found->digests[0], found->digests[1], found->parts * sizeof **found->digests) != 0)
        snprintf(why, AN_PROOF_WHY, "its result is not the same twice");
    else if (wrong.count) {
        snprintf(why, AN_PROOF_WHY, "%d of %d values are off by up to %.3g times what is allowed", wrong.count,
                 AN_PROOF_PLACES, wrong.worst);
        return AN_PROOF_INEXACT;
    } else
        return AN_PROOF_PASSED;
    return AN_PROOF_FAILED;
}

int an_proof_try(const an_proof *proof, int (*run)(void *context), void *context, an_proof_verdict *verdict,
                 double *microseconds, char why[AN_PROOF_WHY])
{
    int rc = AN_OK;
    *verdict = AN_PROOF_PASSED;
    for (int number = 0; number < 2 && !rc && *verdict == AN_PROOF_PASSED; number++)
        rc = run_once(proof, number, run, context, verdict, microseconds, why);
    if (rc || *verdict != AN_PROOF_PASSED)
        return rc;
    rc = compare(proof);
    if (rc)
        return rc;
    findings *found = malloc(sizeof *found);
    if (!found)
        return an_error(AN_ENOMEM, "out of memory");
    rc = fetch(proof, found);
    if (!rc)
        *verdict = judge(found, proof->gaps, why);
    free(found);
    return rc;
}
