/* The format stands in store/dataset/lmdb_file.c. */
#include "tests/attack/mutate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { HEADER = 16, META = 16, BRANCH = 1, LEAF = 2, OVERFLOW_PAGE = 4, ANY_PAGE = 0, TREE_SIZE = 48 };

static uint64_t pages_of(const an_buffer *f)
{
    return f->size / MUTATE_PAGE;
}

static uint8_t *page_at(const an_buffer *f, uint64_t number)
{
    return f->data + number * MUTATE_PAGE;
}

static uint64_t below(an_rng *rng, uint64_t bound)
{
    return bound ? an_rng_below(rng, (uint32_t)bound) : 0;
}

static void put16(uint8_t *p, uint64_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

/* A page of this kind, if a few attempts find one. */
static uint64_t pick(const an_buffer *f, an_rng *rng, int kind)
{
    uint64_t page = 0;
    for (int i = 0; i < 200; i++) {
        page = below(rng, pages_of(f));
        int flags = an_bytes_u16(page_at(f, page) + 10);
        if (kind == ANY_PAGE || (flags == kind && an_bytes_u64(page_at(f, page)) == page))
            break;
    }
    return page;
}

/* Numbers that are likely to be taken for a page, a count or a size, or to overflow when they are multiplied. */
static uint64_t number(const an_buffer *f, an_rng *rng, uint64_t now)
{
    uint64_t pages = pages_of(f);
    const uint64_t odd[] = {0,
                            1,
                            2,
                            now + 1,
                            now - 1,
                            pages - 1,
                            pages,
                            pages + 1,
                            now * 2,
                            0x7F,
                            0xFFFF,
                            INT32_MAX,
                            UINT32_MAX,
                            UINT64_C(1) << 47,
                            INT64_MAX,
                            UINT64_MAX,
                            UINT64_MAX / MUTATE_PAGE,
                            UINT64_MAX / MUTATE_PAGE + 1,
                            UINT64_C(1) << 48,
                            UINT64_MAX - 1};
    return an_rng_below(rng, 2) ? below(rng, pages + 2) : odd[below(rng, sizeof odd / sizeof *odd)];
}

/* One of a page's nodes, or NULL if it has none that lies within it. */
static uint8_t *node(const an_buffer *f, an_rng *rng, uint64_t page)
{
    uint8_t *p = page_at(f, page);
    uint32_t lower = an_bytes_u16(p + 12), count = lower > HEADER ? (lower - HEADER) / 2u : 0;
    if (count == 0 || lower > MUTATE_PAGE)
        return NULL;
    uint32_t at = an_bytes_u16(p + HEADER + 2 * below(rng, count));
    return at <= MUTATE_PAGE - 128 ? p + at : NULL;
}

static void header(an_buffer *f, an_rng *rng)
{
    uint8_t *p = page_at(f, pick(f, rng, ANY_PAGE));
    if (an_rng_below(rng, 2))
        an_bytes_put_u64(p, number(f, rng, an_bytes_u64(p)));
    else
        put16(p + 8 + 2 * below(rng, 2), below(rng, 3) ? 1u << below(rng, 16) : below(rng, 65536));
}

static void bounds(an_buffer *f, an_rng *rng)
{
    uint8_t *p = page_at(f, pick(f, rng, an_rng_below(rng, 3) ? LEAF : BRANCH)) + 12 + 2 * below(rng, 2);
    put16(p, an_rng_below(rng, 2) ? an_bytes_u16(p) + 2 * below(rng, 5) - 4 : below(rng, 65536));
}

static void node_offset(an_buffer *f, an_rng *rng)
{
    uint8_t *p = page_at(f, pick(f, rng, an_rng_below(rng, 3) ? LEAF : BRANCH)) + HEADER;
    uint8_t *slot = p + 2 * below(rng, 8), *other = p + 2 * below(rng, 8);
    put16(slot, an_rng_below(rng, 2) ? an_bytes_u16(other) : below(rng, MUTATE_PAGE + 100));
}

static void leaf_node(an_buffer *f, an_rng *rng)
{
    uint8_t *n = node(f, rng, pick(f, rng, LEAF));
    if (!n)
        return;
    switch (an_rng_below(rng, 4)) {
    case 0:
        an_bytes_put_u32(n, (uint32_t)number(f, rng, an_bytes_u32(n)));
        break;
    case 1:
        put16(n + 4, below(rng, 3) ? below(rng, 8) : below(rng, 65536));
        break;
    case 2:
        put16(n + 6, below(rng, 2) ? an_bytes_u16(n + 6) + below(rng, 5) - 2 : below(rng, 65536));
        break;
    default:
        n[8 + below(rng, 8)] ^= (uint8_t)(1u << below(rng, 8)); /* the key */
    }
}

/* Children that are their own parents, brothers, or nothing at all. */
static void child(an_buffer *f, an_rng *rng)
{
    uint64_t page = pick(f, rng, BRANCH);
    uint8_t *n = node(f, rng, page);
    if (!n)
        return;
    uint64_t to = an_rng_below(rng, 3) == 0 ? page : number(f, rng, an_bytes_u32(n));
    an_bytes_put_u32(n, (uint32_t)to);
    put16(n + 4, an_rng_below(rng, 4) ? to >> 32 : below(rng, 65536));
}

/* A large value somewhere else: on the pages of another one, in a tree, in a meta page, beyond the end. */
static void value_page(an_buffer *f, an_rng *rng)
{
    for (int i = 0; i < 50; i++) {
        uint8_t *n = node(f, rng, pick(f, rng, LEAF));
        if (!n || an_bytes_u16(n + 4) != 1 || an_bytes_u16(n + 6) > 32)
            continue;
        uint8_t *place = n + 8 + an_bytes_u16(n + 6);
        an_bytes_put_u64(place,
                         an_rng_below(rng, 3) ? pick(f, rng, OVERFLOW_PAGE) : number(f, rng, an_bytes_u64(place)));
        return;
    }
}

static void value_header(an_buffer *f, an_rng *rng)
{
    uint8_t *p = page_at(f, pick(f, rng, OVERFLOW_PAGE)) + 12;
    an_bytes_put_u32(p, (uint32_t)number(f, rng, an_bytes_u32(p)));
}

static void tree_field(const an_buffer *f, an_rng *rng, uint8_t *tree)
{
    uint64_t field = below(rng, 7);
    if (field < 2)
        put16(tree + 4 + 2 * field, below(rng, 2) ? below(rng, 8) : below(rng, 65536));
    else
        an_bytes_put_u64(tree + 8 * (field - 1), number(f, rng, an_bytes_u64(tree + 8 * (field - 1))));
}

static void meta(an_buffer *f, an_rng *rng)
{
    uint8_t *m = page_at(f, below(rng, 2)) + META;
    switch (an_rng_below(rng, 4)) {
    case 0:
        tree_field(f, rng, m + 24); /* free pages; its first word is the size of pages */
        break;
    case 1:
        tree_field(f, rng, m + 72);
        break;
    case 2:
        an_bytes_put_u64(m + 120 + 8 * below(rng, 2), number(f, rng, an_bytes_u64(m + 120)));
        break;
    default:
        an_bytes_put_u32(m + 4 * below(rng, 34), (uint32_t)number(f, rng, 0));
    }
}

static void page_size(an_buffer *f, an_rng *rng)
{
    uint32_t size = 1u << below(rng, 32);
    an_bytes_put_u32(page_at(f, 0) + META + 24, size);
    if (an_rng_below(rng, 2))
        an_bytes_put_u32(page_at(f, 1) + META + 24, size);
}

/* The description of a database, in a leaf of the main tree: flag 2, 48 bytes. */
static void database(an_buffer *f, an_rng *rng)
{
    for (int i = 0; i < 400; i++) {
        uint8_t *n = node(f, rng, pick(f, rng, LEAF));
        if (!n || an_bytes_u16(n + 4) != 2 || an_bytes_u32(n) != TREE_SIZE || an_bytes_u16(n + 6) > 16)
            continue;
        tree_field(f, rng, n + 8 + an_bytes_u16(n + 6));
        return;
    }
}

/* Roots exchanged or shared: both meta pages name the trees, so make it the newest one's or either's. */
static void shared_root(an_buffer *f, an_rng *rng)
{
    uint8_t *m = page_at(f, below(rng, 2)) + META;
    memcpy(m + (an_rng_below(rng, 2) ? 24 : 72) + 40, page_at(f, pick(f, rng, an_rng_below(rng, 2) ? LEAF : BRANCH)),
           8);
}

static void free_list(an_buffer *f, an_rng *rng)
{
    const uint8_t *m = page_at(f, below(rng, 2)) + META;
    uint64_t root = an_bytes_u64(m + 24 + 40);
    uint8_t *n = root < pages_of(f) ? node(f, rng, root) : NULL;
    if (!n)
        return;
    uint8_t *entry = n + 8 + 8 * below(rng, 6);
    if (entry + 8 <= f->data + f->size)
        an_bytes_put_u64(entry, number(f, rng, an_bytes_u64(entry)));
}

static void exchange(an_buffer *f, an_rng *rng)
{
    uint8_t kept[MUTATE_PAGE];
    uint64_t a = pick(f, rng, ANY_PAGE), b = pick(f, rng, ANY_PAGE);
    bool renumber = an_rng_below(rng, 2);
    memcpy(kept, page_at(f, a), MUTATE_PAGE);
    memmove(page_at(f, a), page_at(f, b), MUTATE_PAGE);
    memcpy(page_at(f, b), kept, MUTATE_PAGE);
    if (renumber) {
        an_bytes_put_u64(page_at(f, a), a);
        an_bytes_put_u64(page_at(f, b), b);
    }
}

static void repeat(an_buffer *f, an_rng *rng)
{
    uint64_t a = pick(f, rng, ANY_PAGE), b = pick(f, rng, ANY_PAGE);
    memmove(page_at(f, a), page_at(f, b), MUTATE_PAGE);
    if (an_rng_below(rng, 2))
        an_bytes_put_u64(page_at(f, a), a);
}

static void fill(an_buffer *f, an_rng *rng)
{
    uint64_t page = pick(f, rng, ANY_PAGE), from = below(rng, 2) ? 0 : below(rng, MUTATE_PAGE);
    memset(page_at(f, page) + from, an_rng_below(rng, 2) ? 0 : 0xFF, MUTATE_PAGE - from);
}

static void resize(an_buffer *f, an_rng *rng)
{
    uint64_t left = an_rng_below(rng, 2) ? below(rng, f->size) : MUTATE_PAGE * below(rng, pages_of(f));
    f->size = left < 2 * MUTATE_PAGE ? 2 * MUTATE_PAGE + left % 512 : left;
}

/* Everything behind a page one page further down, as if a block had been lost. */
static void lose_page(an_buffer *f, an_rng *rng)
{
    uint64_t page = 2 + below(rng, pages_of(f) - 2);
    if (page + 1 >= pages_of(f))
        return;
    memmove(page_at(f, page), page_at(f, page + 1), f->size - (page + 1) * MUTATE_PAGE);
    f->size -= MUTATE_PAGE;
}

/* A byte of an item's value that is small enough to lie in the page: counts, labels, names, headers of records. */
static void small_value(an_buffer *f, an_rng *rng)
{
    uint8_t *n = node(f, rng, pick(f, rng, LEAF));
    if (!n || an_bytes_u16(n + 6) > 32)
        return;
    uint8_t *byte = n + 8 + an_bytes_u16(n + 6) + below(rng, 16);
    *byte = (uint8_t)(an_rng_below(rng, 2) ? *byte ^ 1u << below(rng, 8) : below(rng, 256));
}

static const struct {
    const char *name;
    void (*change)(an_buffer *f, an_rng *rng);
} kinds[] = {{"header of a page", header},
             {"bounds of a page", bounds},
             {"offset of a node", node_offset},
             {"node of a leaf", leaf_node},
             {"child of a branch", child},
             {"page of a value", value_page},
             {"header of a value", value_header},
             {"meta page", meta},
             {"size of pages", page_size},
             {"description of a database", database},
             {"root of a tree", shared_root},
             {"list of free pages", free_list},
             {"pages exchanged", exchange},
             {"page repeated", repeat},
             {"page filled", fill},
             {"file cut", resize},
             {"page lost", lose_page},
             {"small value", small_value}};

const char *mutate(an_buffer *file, an_rng *rng)
{
    size_t i = below(rng, sizeof kinds / sizeof *kinds);
    kinds[i].change(file, rng);
    return kinds[i].name;
}
