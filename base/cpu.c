#include "base/cpu.h"

#include <cpuid.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

static const char *const tier_names[] = {"scalar", "avx2", "avx512"};

/* Filled once, read-only afterwards. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static an_simd_tier best, chosen;
static bool bf16;
static char refused[32], description[160];

/* Not known to every compiler's __builtin_cpu_supports. */
static bool supports_f16c(void)
{
    unsigned a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

/* The builtins ask cpuid, and xgetbv whether the operating system saves the wide registers. */
static an_simd_tier detect(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2") ||
        !supports_f16c())
        return AN_SIMD_SCALAR;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vbmi") || !__builtin_cpu_supports("avx512vbmi2"))
        return AN_SIMD_AVX2;
    return AN_SIMD_AVX512;
}

static an_simd_tier choose(const char *forced)
{
    if (!forced || !*forced)
        return best;
    for (int i = AN_SIMD_SCALAR; i <= (int)best; i++)
        if (strcmp(forced, tier_names[i]) == 0)
            return (an_simd_tier)i;
    memcpy(refused, forced, strnlen(forced, sizeof refused - 1));
    return best;
}

/* The processor's name for itself, without the blanks that pad it. */
static void brand(char text[49])
{
    unsigned words[12] = {0};
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]))
            words[0] = 0;
    char padded[49] = {0};
    memcpy(padded, words, sizeof words);
    const char *start = padded + strspn(padded, " ");
    size_t size = strlen(start);
    while (size > 0 && start[size - 1] == ' ')
        size--;
    memcpy(text, start, size);
    text[size] = '\0';
}

static void look(void)
{
    best = detect();
    chosen = choose(getenv("AN_SIMD"));
    bf16 = chosen == AN_SIMD_AVX512 && __builtin_cpu_supports("avx512bf16");
    char name[49];
    brand(name);
    snprintf(description, sizeof description, "%s, %d threads, %s", *name ? name : "unknown processor",
             an_thread_cpu_count(), tier_names[chosen]);
}

an_simd_tier an_cpu_simd(void)
{
    pthread_once(&once, look);
    return chosen;
}

an_simd_tier an_cpu_simd_best(void)
{
    pthread_once(&once, look);
    return best;
}

const char *an_cpu_simd_refused(void)
{
    pthread_once(&once, look);
    return *refused ? refused : NULL;
}

const char *an_cpu_simd_name(an_simd_tier tier)
{
    return tier_names[tier];
}

bool an_cpu_bf16(void)
{
    pthread_once(&once, look);
    return bf16;
}

const char *an_cpu_describe(void)
{
    pthread_once(&once, look);
    return description;
}
