#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "small_net.h"
#include "support.h"
#include "update_rig.h"

void an_update_images(an_exec *exec, uint64_t number, size_t count, void *out, float *floats)
{
    an_format format = an_exec_input_format(exec);
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 4, number);
    size_t plane = (size_t)SMALL_SIDE * SMALL_SIDE;
    for (size_t i = 0; i < count * SMALL_IMAGE; i++) {
        uint8_t byte = (uint8_t)an_rng_below(&rng, 256);
        size_t n = i / SMALL_IMAGE, c = i % SMALL_IMAGE / plane, at = i % plane;
        uint32_t bits;
        floats[i] = ((float)byte - 128) / 128;
        memcpy(&bits, &floats[i], sizeof bits);
        if (format.dtype == AN_DTYPE_U8)
            ((uint8_t *)out)[(n * plane + at) * 3 + c] = byte;
        else if (format.dtype == AN_DTYPE_BF16)
            ((uint16_t *)out)[i] = (uint16_t)(bits >> 16);
        else
            ((float *)out)[i] = floats[i];
    }
}

float *an_update_parameter(an_exec *exec, int number, an_parameter_kind kind)
{
    float *values = an_test_zeros(an_exec_parameter(exec, number)->size, sizeof *values);
    an_test_ok(an_exec_parameter_get(exec, number, kind, values), "get");
    return values;
}

void an_update_same(an_exec *one, an_parameter_kind kind, an_exec *two, an_parameter_kind other)
{
    for (int p = 0; p < an_exec_parameter_count(one); p++) {
        float *a = an_update_parameter(one, p, kind), *b = an_update_parameter(two, p, other);
        if (memcmp(a, b, an_exec_parameter(one, p)->size * sizeof *a) != 0)
            fail_msg("%s differs", an_exec_parameter(one, p)->name);
        free(a);
        free(b);
    }
}
