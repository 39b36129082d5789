/* Assertions that the emulator's own tests share. */
#ifndef AN_TESTS_EMU_EXPECT_H
#define AN_TESTS_EMU_EXPECT_H

#include <string.h>

#include <cuda_runtime_api.h>

#include "tests/emu/emulator/emu.h"

static inline void ok(cudaError_t status)
{
    assert_int_equal(status, cudaSuccess);
}

/* Fails unless the first violation since the last call contains part; NULL: unless there was none. */
static inline void expect(const char *part)
{
    char text[512];
    int count = emu_violations(text, sizeof text);
    if (!part && count)
        fail_msg("unexpected: %s", text);
    if (part && (!count || !strstr(text, part)))
        fail_msg("'%s' does not say '%s'", text, part);
}

#endif
