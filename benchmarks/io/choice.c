/* Which codec the verdict proposes. The rule: of what makes the loader faster by more than a twentieth, the one that
 * gives the most for each byte of the file, the gain divided by the growth. Decoding four times as fast from a file of
 * 1.1 times the size goes before eleven times from one of seven times: such a file leaves the page cache soon, and then
 * the disk binds. What gains more than the proposal regardless of size is named after it, as a further step. */
#include "benchmarks/io/bench_io.h"

#define WORTH 1.05   /* gain below which a change is not worth naming */
#define FURTHER 1.25 /* gain over the proposal from which a larger file is worth naming */

static double yield(const bench_change *change)
{
    return change->gain / change->growth;
}

void bench_choose(const bench_change *tried, int count, bench_verdict *out)
{
    const bench_change *best = NULL, *fastest = NULL;
    for (int i = 0; i < count; i++) {
        if (tried[i].gain <= WORTH)
            continue;
        if (!best || yield(&tried[i]) > yield(best))
            best = &tried[i];
        if (!fastest || tried[i].gain > fastest->gain)
            fastest = &tried[i];
    }
    out->change = best ? *best : (bench_change){0};
    out->further = best && fastest->gain > FURTHER * best->gain ? *fastest : (bench_change){0};
}
