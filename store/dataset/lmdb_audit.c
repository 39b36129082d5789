/* The tree of free pages: key u64, the transaction that freed them; value u64 count and so many page numbers, from high
 * to low. LMDB takes pages from there without asking whether anything else refers to them. */
#include "store/dataset/lmdb_audit_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

enum {
    WORD = 64,
    PAGE_HEADER = 16,
    NODE_HEADER = 8,
    PAGE_OVERFLOW = 4,
    NODE_OVERFLOW = 1,
    UNITS = 65536 / 2, /* a page at most; nodes begin at even places */
    FIXED_MAP = 1      /* a flag of the environment: map the file at an address that it names */
};

/* Pages behind the end of the file that were allocated, freed again and never written. */
#define UNWRITTEN_MAX (UINT64_C(1) << 20)

static bool take_bit(uint64_t *bits, uint64_t i)
{
    uint64_t bit = UINT64_C(1) << i % WORD;
    if (bits[i / WORD] & bit)
        return false;
    bits[i / WORD] |= bit;
    return true;
}

static const char *use(an_lmdb_audit *a, uint64_t number)
{
    if (number < 2 || number >= a->page_count)
        return "beyond the last page that was allocated";
    return take_bit(a->used, number) ? NULL : "used twice";
}

/* Bytes of a node, which are an even number. */
static uint32_t node_size(const uint8_t *node, bool branch)
{
    uint32_t size = NODE_HEADER + an_bytes_u16(node + 6);
    if (!branch)
        size += an_bytes_u16(node + 4) & NODE_OVERFLOW ? 8 : an_bytes_u32(node);
    return size + size % 2;
}

const char *an_lmdb_audit_page(an_lmdb_audit *a, uint64_t number, bool branch)
{
    uint64_t taken[UNITS / WORD] = {0};
    uint32_t page_size = a->file->page_size;
    const uint8_t *page = a->file->data + number * page_size;
    uint32_t count = (an_bytes_u16(page + 12) - (uint32_t)PAGE_HEADER) / 2;
    if (branch && count < 2)
        return "a branch with a single child";
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = an_bytes_u16(page + PAGE_HEADER + 2 * i);
        if (at % 2)
            return "a node at an odd place";
        if (!branch && !(an_bytes_u16(page + at + 4) & NODE_OVERFLOW) && an_bytes_u32(page + at) > page_size)
            return "a value outside its page";
        uint32_t size = node_size(page + at, branch);
        if (size > page_size - at)
            return "a value outside its page";
        for (uint32_t unit = at / 2; unit < (at + size) / 2; unit++)
            if (!take_bit(taken, unit))
                return "nodes that overlap";
    }
    return use(a, number);
}

const char *an_lmdb_audit_value(an_lmdb_audit *a, uint64_t first, uint64_t *pages)
{
    const uint8_t *page = a->file->data + first * a->file->page_size;
    uint64_t said = an_bytes_u32(page + 12);
    if (an_bytes_u64(page) != first || an_bytes_u16(page + 10) != PAGE_OVERFLOW || said < *pages ||
        said > a->file->size / a->file->page_size - first)
        return "not the page of a large value that was expected there";
    *pages = said;
    const char *wrong = NULL;
    for (uint64_t i = 0; i < said && !wrong; i++)
        wrong = use(a, first + i);
    return wrong;
}

static int damaged(const an_lmdb_audit *a, const char *what)
{
    return an_error(AN_ECORRUPT, "'%s' is damaged: %s", a->file->path, what);
}

static int visit_free(void *context, const an_lmdb_item *item)
{
    an_lmdb_audit *a = context;
    const uint8_t *list = a->file->data + item->offset;
    uint64_t count = item->length >= 8 ? an_bytes_u64(list) : UINT64_MAX, above = UINT64_MAX;
    if (count > item->length / 8 - 1)
        return damaged(a, "a list of free pages is cut short");
    if (an_bytes_u64(item->key) > an_bytes_u64(a->file->meta + 128))
        return damaged(a, "pages were freed by a transaction that was never made");
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = an_bytes_u64(list + 8 * i);
        if (page >= above)
            return damaged(a, "a list of free pages is out of order");
        const char *wrong = use(a, page);
        if (wrong)
            return an_error(AN_ECORRUPT, "'%s' is damaged: free page %llu: %s", a->file->path, (unsigned long long)page,
                            wrong);
        above = page;
    }
    return AN_OK;
}

static int check_meta(const an_lmdb_audit *a)
{
    const an_lmdb_file *file = a->file;
    if (an_bytes_u16(file->meta + 28) & FIXED_MAP)
        return damaged(a, "it asks to be mapped at a fixed address");
    if (file->last_page > file->size / file->page_size + UNWRITTEN_MAX)
        return damaged(a, "far shorter than its last page");
    return AN_OK;
}

int an_lmdb_file_audit(const an_lmdb_file *file)
{
    an_lmdb_audit a = {.file = file, .page_count = file->last_page + 1};
    int rc = check_meta(&a);
    if (rc)
        return rc;
    a.used = calloc(a.page_count / WORD + 1, sizeof *a.used);
    if (!a.used)
        return an_error(AN_ENOMEM, "out of memory to check the pages of '%s'", file->path);
    rc = an_lmdb_file_walk_audited(file, &a, visit_free);
    free(a.used);
    return rc;
}
