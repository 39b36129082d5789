/* A byte buffer that grows. Initialise it with zeros; its owner calls an_buffer_free. If memory runs out, functions
 * return AN_ENOMEM and the contents stay. One thread at a time uses a buffer. */
#ifndef AN_BASE_BUFFER_H
#define AN_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *data;
    size_t size, capacity;
} an_buffer;

int an_buffer_reserve(an_buffer *buffer, size_t capacity); /* never shrinks; when it grows, at least by half */
int an_buffer_append(an_buffer *buffer, const void *data, size_t size);
int an_buffer_printf(an_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3))); /* terminator
    present but not counted in size */
void an_buffer_free(an_buffer *buffer);

/* Zeroed memory of whole pages, with huge pages where it is large enough for them. For size 0, *out is NULL. Free it
 * with the same size; an_pages_free(NULL, 0) does nothing. */
int an_pages_alloc(void **out, size_t size);
void an_pages_free(void *pages, size_t size);

/* a * b, or AN_EINVAL if that overflows. */
int an_size_multiply(size_t a, size_t b, size_t *out);

#endif
