/* The memory of the emulated devices and pinned memory: addresses, guards, and which buffer holds an address. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/emu/emulator/emu_private.h"

#define SPACE ((size_t)1 << 38) /* bytes of addresses for the program; the emulator's own addresses follow them */
#define PAGE ((size_t)4096)
#define GUARD 0xA5 /* bytes around a buffer, which nobody may write */

/* Sorted by address, counted from the beginning of the space that the buffer lies in. Addresses are never used again,
 * so a new buffer is the last. */
static emu_buffer **buffers;
static size_t count, room;
static char *space;
static size_t space_used;

__attribute__((constructor)) static void start(void)
{
    space = mmap(NULL, 2 * SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED)
        abort();
}

bool emu_is_device_address(const void *at)
{
    return (const char *)at >= space && (const char *)at < space + SPACE;
}

void *emu_inside(const void *at)
{
    const char *place = at;
    return (void *)(uintptr_t)(emu_is_device_address(at) ? place + SPACE : place);
}

static size_t offset_of(const void *at)
{
    return (size_t)((const char *)at - space) % SPACE;
}

/* The number of buffers that begin at this offset or before it. */
static size_t number_before(size_t offset)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (offset_of(buffers[middle]->base) <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

emu_buffer *emu_buffer_find(const void *at)
{
    const char *place = at;
    size_t before = place >= space && place < space + 2 * SPACE ? number_before(offset_of(at)) : 0;
    emu_buffer *b = before ? buffers[before - 1] : NULL;
    return b && place >= b->base && place < b->base + b->size ? b : NULL;
}

emu_buffer *emu_buffer_at(size_t number)
{
    return number < count ? buffers[number] : NULL;
}

/* The pages that hold a buffer, as the emulator addresses them. */
typedef struct {
    char *first, *buffer, *end; /* end: of the pages */
} pages;

static pages pages_of(const emu_buffer *b)
{
    char *inside = b->base + (b->device < 0 ? 0 : SPACE), *first = (char *)((uintptr_t)inside / PAGE * PAGE);
    size_t size = (size_t)(inside - first) + b->size;
    return (pages){first, inside, first + (size + PAGE - 1) / PAGE * PAGE};
}

static void buffer_add(emu_buffer *b)
{
    if (count == room) {
        room = 2 * room + 64;
        buffers = realloc(buffers, room * sizeof(emu_buffer *));
        if (!buffers)
            abort();
    }
    buffers[count++] = b;
}

/* A buffer is aligned to 256 bytes, as CUDA promises, and ends as near as that allows to the end of its last page. The
 * page behind it is never accessible. Guards fill the rest of its pages. */
void *emu_buffer_make(size_t size, int device)
{
    emu_buffer *b = emu_new(sizeof *b);
    size_t wanted = (size + 255) / 256 * 256, whole = (wanted + PAGE - 1) / PAGE * PAGE;
    if (space_used + whole + PAGE > SPACE)
        abort();
    /* pinned memory is the host's as well */
    b->base = space + space_used + (whole - wanted) + (device < 0 ? SPACE : 0);
    b->size = size;
    b->device = device;
    pages p = pages_of(b);
    if (mprotect(p.first, whole, PROT_READ | PROT_WRITE))
        abort();
    memset(p.first, GUARD, (size_t)(p.buffer - p.first));
    memset(p.buffer, 0xFF, size); /* NaN, until something is written */
    memset(p.buffer + size, GUARD, (size_t)(p.end - p.buffer) - size);
    buffer_add(b);
    space_used += whole + PAGE;
    return b->base;
}

static bool is_guard(const char *from, const char *end)
{
    while (from < end && (unsigned char)*from == GUARD)
        from++;
    return from == end;
}

bool emu_buffer_drop(emu_buffer *b, bool release)
{
    pages p = pages_of(b);
    bool intact = !release || (is_guard(p.first, p.buffer) && is_guard(p.buffer + b->size, p.end));
    if (release) {
        size_t size = (size_t)(p.end - p.first);
        if (madvise(p.first, size, MADV_DONTNEED) || mprotect(p.first, size, PROT_NONE))
            abort();
    }
    size_t number = number_before(offset_of(b->base)) - 1;
    memmove(&buffers[number], &buffers[number + 1], (--count - number) * sizeof(emu_buffer *));
    free(b);
    return intact;
}
