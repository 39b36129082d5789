/* The format, as far as it is needed here (all numbers little-endian, offsets in bytes):
 *
 * Page: 0 u64 its own number; 8 u16 unused; 10 u16 flags; 12 u16 lower and 14 u16 upper, the bounds of the free space;
 *   16 u16[] offsets of the nodes, in the order of their keys.
 *   Pages 0 and 1 are meta pages; transaction N writes page N % 2.
 *   Overflow pages hold one large value: a run of pages with one header, in which 12 is u32, the number of pages.
 * Meta, at offset 16 of its page: 0 u32 magic; 4 u32 version; 8 u64 address; 16 u64 size of the map; 24 tree of free
 *   pages, whose first u32 is the page size; 72 main tree; 120 u64 last page; 128 u64 transaction.
 * Tree: 0 u32 unused; 4 u16 flags; 6 u16 depth; 8 u64 branch pages; 16 u64 leaf pages; 24 u64 overflow pages;
 *   32 u64 entries; 40 u64 root page, all ones if there is none.
 * Node of a leaf: 0 u32 length; 4 u16 flags; 6 u16 key size; 8 key; then the value, or the u64 number of the first of
 *   its overflow pages.
 * Node of a branch: 0 u48 page; 6 u16 key size; 8 key. The first key of a branch page means nothing. */
#include "store/dataset/lmdb_file_private.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "store/dataset/lmdb_audit_private.h"

enum {
    PAGE_HEADER = 16,
    META_SIZE = 136,
    TREE_SIZE = 48,
    NODE_HEADER = 8,
    PAGE_MIN = 512,
    PAGE_MAX = 65536,
    DEPTH_MAX = 32,
    RELEASE_LEAVES = 64, /* leaf pages between two calls of release_pages */
    NAME_MAX_SIZE = 64   /* of a database, terminator included: ours are short */
};
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_META = 8 };
enum { NODE_OVERFLOW = 1, NODE_TREE = 2 };
enum { TREE_NUMBERS = 8 };

#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1u
#define NO_PAGE UINT64_MAX

static const uint8_t *meta_at(const an_lmdb_file *file, uint64_t offset)
{
    const uint8_t *page = file->data + offset, *meta = page + PAGE_HEADER;
    bool good = offset + PAGE_HEADER + META_SIZE <= file->size && (an_bytes_u16(page + 10) & PAGE_META) &&
                an_bytes_u32(meta) == META_MAGIC && an_bytes_u32(meta + 4) == META_VERSION;
    return good ? meta : NULL;
}

static int choose_meta(an_lmdb_file *file)
{
    const uint8_t *first = meta_at(file, 0);
    if (!first)
        return an_error(AN_ECORRUPT, "'%s' is not an LMDB data file", file->path);
    uint32_t size = an_bytes_u32(first + 24);
    if (size < PAGE_MIN || size > PAGE_MAX || (size & (size - 1)))
        return an_error(AN_ECORRUPT, "'%s' is damaged: page size %u", file->path, size);
    file->page_size = size;
    const uint8_t *second = meta_at(file, size);
    if (!second || an_bytes_u32(second + 24) != size)
        return an_error(AN_ECORRUPT, "'%s' is damaged: its second page is no meta page", file->path);
    file->meta = an_bytes_u64(second + 128) > an_bytes_u64(first + 128) ? second : first;
    file->last_page = an_bytes_u64(file->meta + 120);
    return AN_OK;
}

static int map_file(an_lmdb_file *file, int fd)
{
    struct stat info;
    if (fstat(fd, &info))
        return an_error_errno(errno, "cannot stat '%s'", file->path);
    if (info.st_size < PAGE_MIN)
        return an_error(AN_ECORRUPT, "'%s' is not an LMDB data file", file->path);
    file->size = (uint64_t)info.st_size;
    void *data = mmap(NULL, file->size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return an_error_errno(errno, "cannot map '%s'", file->path);
    file->data = data;
    return choose_meta(file);
}

int an_lmdb_file_open(an_lmdb_file *out, const char *path)
{
    *out = (an_lmdb_file){.path = path};
    int fd;
    int rc = an_file_open(&fd, path);
    if (rc)
        return rc;
    rc = map_file(out, fd);
    (void)close(fd);
    if (rc)
        an_lmdb_file_close(out);
    return rc;
}

void an_lmdb_file_close(an_lmdb_file *file)
{
    if (file->data)
        (void)munmap((void *)(uintptr_t)file->data, file->size);
    *file = (an_lmdb_file){0};
}

/* ------------------------------------------------------------------------------------------------ the walk ---- */

typedef struct {
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
} tree;

typedef struct {
    const an_lmdb_file *file;
    uint64_t pages; /* whole pages in the file */
    an_lmdb_visit visit;
    void *context;
    const char *only;
    const char *database; /* NULL: the main tree, whose items are trees */
    an_lmdb_audit *audit; /* or NULL */
    bool numbers;         /* the tree of free pages: keys are u64, in the order of their values */
    tree declared, seen;  /* what the tree says of itself, and what the walk has counted */
    const uint8_t *last;  /* previous key, or the separator in the branch above */
    uint32_t last_size;
    bool last_inclusive; /* last is a separator: the next key may equal it */
} walk;

static int damaged(const walk *w, uint64_t page, const char *what)
{
    return an_error(AN_ECORRUPT, "'%s' is damaged: page %llu: %s", w->file->path, (unsigned long long)page, what);
}

static tree read_tree(const uint8_t *p)
{
    return (tree){.flags = an_bytes_u16(p + 4),
                  .depth = an_bytes_u16(p + 6),
                  .branches = an_bytes_u64(p + 8),
                  .leaves = an_bytes_u64(p + 16),
                  .overflows = an_bytes_u64(p + 24),
                  .entries = an_bytes_u64(p + 32),
                  .root = an_bytes_u64(p + 40)};
}

/* Counts limit the walk, so they must not exceed what the file has room for. */
static bool tree_plausible(const walk *w, const tree *t)
{
    uint64_t nodes_max = w->pages * (w->file->page_size / NODE_HEADER);
    bool empty = t->root == NO_PAGE;
    return (t->flags == 0 || (w->numbers && t->flags & TREE_NUMBERS)) && t->depth <= DEPTH_MAX &&
           empty == (t->depth == 0) && empty == (t->entries == 0) && t->branches <= w->pages && t->leaves <= w->pages &&
           t->overflows <= w->pages && t->entries <= nodes_max;
}

static int compare_numbers(const uint8_t *a, const uint8_t *b)
{
    uint64_t x = an_bytes_u64(a), y = an_bytes_u64(b);
    return (x > y) - (x < y);
}

static int compare_bytes(const uint8_t *a, uint32_t a_size, const uint8_t *b, uint32_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

/* Keys ascend. The first key below a separator may equal it. */
static bool key_follows(walk *w, const uint8_t *key, uint32_t size, bool separator)
{
    if (w->numbers && size != 8)
        return false;
    if (w->last) {
        int order = w->numbers ? compare_numbers(w->last, key) : compare_bytes(w->last, w->last_size, key, size);
        if (order > 0 || (order == 0 && !w->last_inclusive))
            return false;
    }
    w->last = key;
    w->last_size = size;
    w->last_inclusive = separator;
    return true;
}

/* Check a page of a tree and count its nodes; their offsets, headers and keys lie within the page. */
static int open_page(const walk *w, uint64_t number, int kind, const uint8_t **out, uint32_t *count)
{
    if (number < 2 || number >= w->pages)
        return damaged(w, number, "beyond the end of the file: it was cut short or points astray");
    const uint8_t *page = w->file->data + number * w->file->page_size;
    uint32_t size = w->file->page_size, lower = an_bytes_u16(page + 12), upper = an_bytes_u16(page + 14);
    if (an_bytes_u64(page) != number || an_bytes_u16(page + 10) != kind)
        return damaged(w, number, "not the page that was expected there");
    if (lower <= PAGE_HEADER || lower % 2 || lower > upper || upper > size)
        return damaged(w, number, "impossible bounds");
    *out = page;
    *count = (lower - PAGE_HEADER) / 2;
    for (uint32_t i = 0; i < *count; i++) {
        uint32_t node = an_bytes_u16(page + PAGE_HEADER + 2 * i);
        if (node < upper || node > size - NODE_HEADER || an_bytes_u16(page + node + 6) > size - NODE_HEADER - node)
            return damaged(w, number, "a node outside its page");
    }
    const char *wrong = w->audit ? an_lmdb_audit_page(w->audit, number, kind == PAGE_BRANCH) : NULL;
    return wrong ? damaged(w, number, wrong) : AN_OK;
}

static const uint8_t *node_at(const uint8_t *page, uint32_t i)
{
    return page + an_bytes_u16(page + PAGE_HEADER + 2 * i);
}

/* Find where the value of a leaf node lies, and check that this is within the file. */
static int locate_value(walk *w, uint64_t number, const uint8_t *page, const uint8_t *node, an_lmdb_item *item)
{
    uint32_t size = w->file->page_size, room = size - (uint32_t)(node + NODE_HEADER + item->key_size - page);
    const uint8_t *value = node + NODE_HEADER + item->key_size;
    bool overflow = an_bytes_u16(node + 4) & NODE_OVERFLOW;
    item->length = an_bytes_u32(node);
    if ((overflow ? 8 : item->length) > room)
        return damaged(w, number, "a value outside its page");
    item->offset = (uint64_t)(value - w->file->data);
    if (!overflow)
        return AN_OK;
    uint64_t first = an_bytes_u64(value), pages = ((uint64_t)item->length + PAGE_HEADER + size - 1) / size;
    if (first < 2 || first >= w->pages || pages > w->pages - first)
        return damaged(w, number, "a value beyond the end of the file: it was cut short or points astray");
    const char *wrong = w->audit ? an_lmdb_audit_value(w->audit, first, &pages) : NULL;
    if (wrong)
        return damaged(w, first, wrong);
    w->seen.overflows += pages;
    item->offset = first * size + PAGE_HEADER;
    return AN_OK;
}

static int walk_tree(walk *w, const uint8_t *declared);

/* An item of the main tree: a database. */
static int walk_database(const walk *parent, uint64_t number, const an_lmdb_item *item)
{
    char name[NAME_MAX_SIZE];
    if (item->key_size >= sizeof name || item->length != TREE_SIZE)
        return damaged(parent, number, "not an entry of a database");
    memcpy(name, item->key, item->key_size);
    name[item->key_size] = '\0';
    walk w = {.file = parent->file,
              .pages = parent->pages,
              .visit = parent->visit,
              .context = parent->context,
              .audit = parent->audit,
              .database = name};
    return walk_tree(&w, parent->file->data + item->offset);
}

static bool is_other(const walk *w, const an_lmdb_item *item)
{
    return !w->database && w->only &&
           (item->key_size != strlen(w->only) || memcmp(item->key, w->only, item->key_size) != 0);
}

static int walk_node(walk *w, uint64_t number, const uint8_t *page, const uint8_t *node)
{
    an_lmdb_item item = {.database = w->database,
                         .key = node + NODE_HEADER,
                         .key_size = an_bytes_u16(node + 6),
                         .entries = w->declared.entries};
    int flags = an_bytes_u16(node + 4);
    if (is_other(w, &item))
        return AN_OK;
    if (w->database ? flags & ~NODE_OVERFLOW : flags != NODE_TREE)
        return damaged(w, number, "a node of an unknown kind");
    if (!key_follows(w, item.key, item.key_size, false))
        return damaged(w, number, "keys out of order");
    int rc = locate_value(w, number, page, node, &item);
    if (rc)
        return rc;
    w->seen.entries++;
    return w->database ? w->visit(w->context, &item) : walk_database(w, number, &item);
}

/* Take all pages out of the map; they stay in the page cache. A page fault maps the pages around it too, up to 2 MB of
 * them, so without this a walk would make the whole file count as this process's memory. */
static void release_pages(const an_lmdb_file *file)
{
    (void)madvise((void *)(uintptr_t)file->data, file->size, MADV_DONTNEED);
}

static int walk_leaf(walk *w, uint64_t number)
{
    const uint8_t *page;
    uint32_t count;
    int rc = open_page(w, number, PAGE_LEAF, &page, &count);
    if (!rc && ++w->seen.leaves > w->declared.leaves)
        rc = damaged(w, number, "more leaves than declared");
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = walk_node(w, number, page, node_at(page, i));
    if (w->seen.leaves % RELEASE_LEAVES == 0)
        release_pages(w->file);
    return rc;
}

static uint64_t child_of(const uint8_t *node)
{
    return an_bytes_u32(node) | (uint64_t)an_bytes_u16(node + 4) << 32;
}

/* Ask for the leaves below a branch to be read together, instead of one by one as the walk comes to them. The kernel
 * may refuse: then the walk is slower. */
static void prefetch_children(const walk *w, const uint8_t *page, uint32_t count)
{
    uint32_t size = w->file->page_size;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t child = child_of(node_at(page, i));
        if (child < w->pages)
            (void)madvise((void *)(uintptr_t)(w->file->data + child * size), size, MADV_WILLNEED);
    }
}

static int walk_page(walk *w, uint64_t number, int level) /* level 1 is that of the leaves */
{
    if (level == 1)
        return walk_leaf(w, number);
    const uint8_t *page;
    uint32_t count;
    int rc = open_page(w, number, PAGE_BRANCH, &page, &count);
    if (!rc && ++w->seen.branches > w->declared.branches)
        rc = damaged(w, number, "more branches than declared");
    if (!rc && level == 2)
        prefetch_children(w, page, count);
    for (uint32_t i = 0; !rc && i < count; i++) {
        const uint8_t *node = node_at(page, i);
        if (i > 0 && !key_follows(w, node + NODE_HEADER, an_bytes_u16(node + 6), true))
            rc = damaged(w, number, "keys out of order");
        if (!rc)
            rc = walk_page(w, child_of(node), level - 1);
    }
    return rc;
}

/* This ends for any file: the depth and the number of pages are limited by what the tree declares, and that is limited
 * by tree_plausible. */
static int walk_tree(walk *w, const uint8_t *declared)
{
    w->declared = read_tree(declared);
    const tree *d = &w->declared, *s = &w->seen;
    uint64_t number = (uint64_t)(declared - w->file->data) / w->file->page_size;
    if (!tree_plausible(w, d))
        return damaged(w, number, "impossible description of a database");
    int rc = d->root == NO_PAGE ? AN_OK : walk_page(w, d->root, d->depth);
    if (rc)
        return rc;
    if (!w->database && w->only)
        return AN_OK; /* the other databases were skipped, so the counts differ */
    if (s->branches != d->branches || s->leaves != d->leaves || s->overflows != d->overflows ||
        s->entries != d->entries)
        return damaged(w, number, "a database is not as it describes itself");
    return AN_OK;
}

/* The visited pages lie far apart: reading ahead would read the whole file. */
static void begin(const an_lmdb_file *file)
{
    (void)madvise((void *)(uintptr_t)file->data, file->size, MADV_RANDOM);
}

static void end(const an_lmdb_file *file)
{
    release_pages(file);
    (void)madvise((void *)(uintptr_t)file->data, file->size, MADV_NORMAL);
}

int an_lmdb_file_walk(const an_lmdb_file *file, const char *only, an_lmdb_visit visit, void *context)
{
    walk w = {.file = file, .pages = file->size / file->page_size, .only = only, .visit = visit, .context = context};
    begin(file);
    int rc = walk_tree(&w, file->meta + 72);
    end(file);
    return rc;
}

static int ignore_item(void *context, const an_lmdb_item *item)
{
    (void)context, (void)item;
    return AN_OK;
}

int an_lmdb_file_walk_audited(const an_lmdb_file *file, an_lmdb_audit *audit, an_lmdb_visit visit)
{
    uint64_t pages = file->size / file->page_size;
    walk all = {.file = file, .pages = pages, .visit = ignore_item, .audit = audit};
    walk unused = {.file = file, .pages = pages, .visit = visit, .context = audit, .audit = audit};
    unused.database = "free pages";
    unused.numbers = true;
    begin(file);
    int rc = walk_tree(&all, file->meta + 72);
    if (!rc)
        rc = walk_tree(&unused, file->meta + 24);
    end(file);
    return rc;
}
