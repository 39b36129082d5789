#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "support.h"

void *an_test_zeros(size_t count, size_t size)
{
    void *out = calloc(count, size);
    assert_non_null(out);
    return out;
}

float *an_test_random(size_t count, uint64_t stream)
{
    float *out = an_test_zeros(count, sizeof *out);
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, stream);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((int)an_rng_below(&rng, 257) - 128) / 128;
    return out;
}

double *an_test_doubles(const float *values, size_t count)
{
    double *out = an_test_zeros(count, sizeof *out);
    for (size_t i = 0; i < count; i++)
        out[i] = values[i];
    return out;
}

void an_test_close(const char *what, const float *got, const double *expected, size_t count, double tolerance)
{
    double largest = 1e-3;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < count; i++)
        if (!(fabs(got[i] - expected[i]) <= tolerance * largest))
            fail_msg("%s: element %zu of %zu is %.9g, expected %.9g", what, i, count, (double)got[i], expected[i]);
}

void an_test_ok(int rc, const char *what)
{
    if (rc)
        fail_msg("%s: %d, %s", what, rc, an_error_message());
}

void an_test_refused(int rc, const char *part)
{
    assert_int_equal(rc, AN_EINVAL);
    if (!strstr(an_error_message(), part))
        fail_msg("message '%s' does not say '%s'", an_error_message(), part);
}
