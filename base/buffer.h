/* Growable byte buffer. Zero-initialise; an_buffer_free when done. */
#ifndef AN_BASE_BUFFER_H
#define AN_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *data;
    size_t size, capacity;
} an_buffer;

int an_buffer_reserve(an_buffer *buffer, size_t capacity); /* grows only, at least by half; contents kept */
int an_buffer_append(an_buffer *buffer, const void *data, size_t size);
int an_buffer_printf(an_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3))); /* terminator
    present but not counted in size */
void an_buffer_free(an_buffer *buffer);

/* Page-aligned anonymous memory, zeroed, huge pages advised when size allows; an_pages_free(NULL, 0) is fine.
 * Size 0: NULL and AN_OK. */
int an_pages_alloc(void **out, size_t size);
void an_pages_free(void *pages, size_t size);

/* a * b with overflow as AN_EINVAL. */
int an_size_multiply(size_t a, size_t b, size_t *out);

#endif
