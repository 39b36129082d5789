#include "base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"

#define HUGE_PAGE ((size_t)2 << 20)

int an_buffer_reserve(an_buffer *buffer, size_t capacity)
{
    if (capacity <= buffer->capacity)
        return AN_OK;
    size_t grown = buffer->capacity + buffer->capacity / 2;
    if (grown < capacity)
        grown = capacity;
    uint8_t *data = realloc(buffer->data, grown);
    if (!data)
        return an_error(AN_ENOMEM, "out of memory: buffer of %zu bytes", grown);
    buffer->data = data;
    buffer->capacity = grown;
    return AN_OK;
}

static int reserve_more(an_buffer *buffer, size_t more)
{
    size_t size;
    if (__builtin_add_overflow(buffer->size, more, &size))
        return an_error(AN_ENOMEM, "out of memory: buffer of more than %zu bytes", SIZE_MAX);
    return an_buffer_reserve(buffer, size);
}

int an_buffer_append(an_buffer *buffer, const void *data, size_t size)
{
    int rc = reserve_more(buffer, size);
    if (rc)
        return rc;
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return AN_OK;
}

int an_buffer_printf(an_buffer *buffer, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    int rc =
        size < 0 ? an_error(AN_EINTERNAL, "cannot format text '%s'", format) : reserve_more(buffer, (size_t)size + 1);
    if (!rc) {
        vsnprintf((char *)buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
    va_end(arguments);
    return rc;
}

void an_buffer_free(an_buffer *buffer)
{
    free(buffer->data);
    *buffer = (an_buffer){0};
}

int an_pages_alloc(void **out, size_t size)
{
    *out = NULL;
    if (size == 0)
        return AN_OK;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return an_error_errno(errno, "cannot allocate %zu bytes of pages", size);
    if (size >= HUGE_PAGE)
        (void)madvise(pages, size, MADV_HUGEPAGE); /* advice: a kernel without huge pages refuses, and that is fine */
    *out = pages;
    return AN_OK;
}

void an_pages_free(void *pages, size_t size)
{
    if (pages)
        (void)munmap(pages, size); /* fails only for a range that an_pages_alloc never returned */
}

int an_size_multiply(size_t a, size_t b, size_t *out)
{
    if (__builtin_mul_overflow(a, b, out))
        return an_error(AN_EINVAL, "size overflow: %zu times %zu", a, b);
    return AN_OK;
}
