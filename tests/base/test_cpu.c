#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cpu.h"

/* The choice is made once in a process, so each case has a child of its own: the tier, plus 10 if AN_SIMD was refused.
 */
static int choice_under(const char *forced)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (forced)
            setenv("AN_SIMD", forced, 1);
        else
            unsetenv("AN_SIMD");
        int tier = (int)an_cpu_simd();
        if (an_cpu_simd_refused() && forced && strncmp(forced, an_cpu_simd_refused(), 31) != 0)
            _exit(99);
        _exit(tier + (an_cpu_simd_refused() ? 10 : 0));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_forced_tiers(void **state)
{
    (void)state;
    int best = choice_under(NULL);
    assert_in_range(best, AN_SIMD_SCALAR, AN_SIMD_AVX512);
    assert_int_equal(choice_under(""), best);
    assert_int_equal(choice_under("scalar"), AN_SIMD_SCALAR);
    assert_int_equal(choice_under("avx2"), best >= AN_SIMD_AVX2 ? AN_SIMD_AVX2 : best + 10);
    assert_int_equal(choice_under("avx512"), best >= AN_SIMD_AVX512 ? AN_SIMD_AVX512 : best + 10);
    assert_int_equal(choice_under("AVX2"), best + 10);
    assert_int_equal(choice_under("a word far longer than any name of a tier could be"), best + 10);
}

static void test_describe(void **state)
{
    (void)state;
    const char *text = an_cpu_describe();
    assert_non_null(strstr(text, " threads, "));
    const char *name = an_cpu_simd_name(an_cpu_simd());
    assert_string_equal(text + strlen(text) - strlen(name), name);
    assert_true(an_cpu_simd() <= an_cpu_simd_best());
    assert_string_equal(an_cpu_simd_name(AN_SIMD_SCALAR), "scalar");
    assert_string_equal(an_cpu_simd_name(AN_SIMD_AVX512), "avx512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forced_tiers), cmocka_unit_test(test_describe)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
