/* The kernels' bodies, compiled for the host from the source that the device runs.
 *
 * DESIGN. A kernel that a warp works on runs with 32 lanes, one after another. A lane runs until it reaches a sum or
 * maximum over the lanes whose result is not known yet, and is stopped there by longjmp. When all lanes have stopped,
 * their values are combined as the shuffles of launch.h do it, and every lane starts again from the beginning, this
 * time with the result at hand. This is repeated until the lanes reach the end. So a body must be repeatable: what it
 * computes before a sum must not depend on what it has written already. That is checked: a lane must bring the same
 * value to a sum each time. A violation is also reported if only some of the lanes reach a sum.
 *
 * Every access to memory is compared with the extents that the arguments describe (emu_extents.c). */
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emu/emulator/emu_private.h"

#define LANES_MAX 32
#define SUMS_MAX 8        /* sums and maxima in a body */
#define CHECKED_MAX 65536 /* launches of more items are not checked access by access: they would take minutes */

/* Every access to memory reads these, so they have fixed places. A library that is loaded later gets few of those,
 * hence pointers: emu_kernel_run makes what they point to. */
#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

typedef enum { SUM, MAXIMUM } combination;

static struct {
    int count, dropped; /* lanes of a warp; the one whose values are lost, or -1 */
    const char *extra;  /* the kernel that runs one item too many */
} settings = {.count = LANES_MAX, .dropped = -1};

/* The warp that this thread runs. */
typedef struct {
    int lane, reached, known; /* reached: sums that the lane has come to in this run; known: those with a result */
    combination kinds[SUMS_MAX];
    double given[SUMS_MAX][LANES_MAX], results[SUMS_MAX][LANES_MAX];
    jmp_buf stop;
} warp_state;
THREAD_LOCAL warp_state *warp;

/* What this thread's launch may touch. */
typedef struct {
    const char *kernel;
    bool checked, wrong; /* wrong: a violation was reported, so its result is not kept */
    int last;            /* the extent that held the last access */
    emu_extents extents;
} allowance;
THREAD_LOCAL allowance *allowed;

void emu_lanes_set(int lanes)
{
    settings.count = lanes;
}

void emu_drop_lane(int lane)
{
    settings.dropped = lane;
}

void emu_extra_item(const char *name)
{
    settings.extra = name;
}

static bool is_within(const emu_extent *extent, const void *at, size_t size)
{
    const char *from = at, *first = extent->at;
    return from >= first && from + size <= first + extent->size;
}

static void touch_check(const void *at, size_t size)
{
    if (allowed->last < allowed->extents.count && is_within(&allowed->extents.each[allowed->last], at, size))
        return;
    for (int i = 0; i < allowed->extents.count; i++)
        if (is_within(&allowed->extents.each[i], at, size)) {
            allowed->last = i;
            return;
        }
    allowed->wrong = true;
    emu_violation("%s: %zu bytes at %p are touched that the arguments do not describe", allowed->kernel, size, at);
}

static inline void touch(const void *at, size_t size)
{
    if (allowed->checked)
        touch_check(at, size);
}

void emu_touch(const void *at, size_t size)
{
    touch(at, size);
}

/* As in launch.h: halves of the warp exchange their values, then quarters, and so on. */
static void combine(int sum)
{
    double *results = warp->results[sum], before[LANES_MAX];
    for (int lane = 0; lane < settings.count; lane++)
        results[lane] = lane == settings.dropped ? (warp->kinds[sum] == SUM ? 0 : -INFINITY) : warp->given[sum][lane];
    for (int away = settings.count / 2; away; away /= 2) {
        memcpy(before, results, sizeof before);
        for (int lane = 0; lane < settings.count; lane++) {
            double other = before[lane ^ away];
            results[lane] = warp->kinds[sum] == SUM ? before[lane] + other : fmax(before[lane], other);
        }
    }
}

static bool is_same(double a, double b)
{
    return !memcmp(&a, &b, sizeof a);
}

static double lanes_combined(combination kind, double value)
{
    int sum = warp->reached++;
    if (sum == SUMS_MAX)
        abort();
    if (sum < warp->known) {
        if (warp->kinds[sum] != kind || !is_same(warp->given[sum][warp->lane], value)) {
            allowed->wrong = true;
            emu_violation("%s: a lane does not bring the same value to a sum again", allowed->kernel);
        }
        return warp->results[sum][warp->lane];
    }
    if (warp->lane && warp->kinds[sum] != kind) {
        allowed->wrong = true;
        emu_violation("%s: one lane is at a sum and another at a maximum", allowed->kernel);
    }
    warp->kinds[sum] = kind;
    warp->given[sum][warp->lane] = value;
    longjmp(warp->stop, 1);
}

#define AN_BODY static inline __attribute__((unused))
#define AN_LANES settings.count
#define AN_LANE warp->lane
#define AN_LANES_SUM(x) lanes_combined(SUM, x)
#define AN_LANES_MAX(x) (float)lanes_combined(MAXIMUM, x)
#define AN_TOUCH(at, size) touch(at, size)
#include "model/cuda/kernels/bodies.h"

typedef void (*body)(const void *args, uint64_t item);

/* Whether the lane came to its end. */
static bool lane_ends(body run, const void *args, uint64_t item)
{
    warp->reached = 0;
    if (setjmp(warp->stop))
        return false;
    run(args, item);
    return true;
}

/* The number of lanes that came to their end. */
static int lanes_run(body run, const void *args, uint64_t item)
{
    int ended = 0;
    for (warp->lane = 0; warp->lane < settings.count; warp->lane++)
        ended += lane_ends(run, args, item);
    return ended;
}

static void warp_run(body run, const void *args, uint64_t item)
{
    int ended;
    warp->known = 0;
    while (!(ended = lanes_run(run, args, item)))
        combine(warp->known++);
    if (ended < settings.count) {
        allowed->wrong = true;
        emu_violation("%s: only some of the lanes reach a sum", allowed->kernel);
    }
}

#define ITEM(name, type)                                                                                               \
    static void item_##name(const void *args, uint64_t item)                                                           \
    {                                                                                                                  \
        an_body_##name((const type *)args, item);                                                                      \
    }
#define RUN(name, type)                                                                                                \
    static void run_##name(const void *args, uint64_t items)                                                           \
    {                                                                                                                  \
        for (uint64_t i = 0; i < items; i++)                                                                           \
            an_body_##name((const type *)args, i);                                                                     \
    }
#define RUN_WARP(name, type)                                                                                           \
    ITEM(name, type)                                                                                                   \
    static void run_##name(const void *args, uint64_t items)                                                           \
    {                                                                                                                  \
        for (uint64_t i = 0; i < items; i++)                                                                           \
            warp_run(item_##name, args, i);                                                                            \
    }
AN_KERNELS(RUN, RUN_WARP)

#define ENTRY(name, type) {"an_device_" #name, sizeof(type), run_##name},
static const emu_kernel kernels[] = {AN_KERNELS(ENTRY, ENTRY)};

#define OWN ((int)(sizeof kernels / sizeof *kernels))

int emu_kernel_count(void)
{
    return OWN + EMU_DECODE_KERNELS;
}

const emu_kernel *emu_kernel_at(int number)
{
    return number < OWN ? &kernels[number] : &emu_decode_kernels[number - OWN];
}

/* Whether kernels run as a device runs them: nothing is kept of those that a test tampers with. */
static bool untouched(void)
{
    return settings.count == LANES_MAX && settings.dropped < 0 && !settings.extra;
}

void emu_kernel_run(const emu_kernel *kernel, const void *args)
{
    bool extra = settings.extra && !strcmp(settings.extra, kernel->name);
    uint64_t items = ((const an_kernel_places *)args)->items + extra;
    allowance launch = {.kernel = kernel->name, .checked = items <= CHECKED_MAX};
    warp_state lanes = {0};
    emu_memo_key key;
    emu_extents_of(&launch.extents, kernel->name, args);
    bool keeps = untouched() && emu_memo_key_of(&key, kernel, args, &launch.extents);
    if (keeps && emu_memo_recall(&key, &launch.extents))
        return;
    allowed = &launch;
    warp = &lanes;
    kernel->run(args, items);
    if (keeps && !launch.wrong)
        emu_memo_keep(&key, &launch.extents);
}
