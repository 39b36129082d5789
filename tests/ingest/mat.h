/* Writes MATLAB files of version 5 by hand, byte by byte, so that tests can write what no library would. A failure ends
 * the test. Free the buffers. */
#ifndef AN_TESTS_INGEST_MAT_H
#define AN_TESTS_INGEST_MAT_H

#include "base/buffer.h"

/* One synset of a meta.mat. Each value is an element that was made by the functions below, or NULL for a sound one. */
typedef struct {
    const an_buffer *id, *wnid, *words, *children;
} mat_synset;

/* An element: type, size, data, padding. */
void mat_element(an_buffer *out, uint32_t type, const void *data, size_t size);
/* An array's element MATRIX without a name: flags is the kind (6 double, 4 text, 1 cell, 5 sparse ...) and its flags.
 */
void mat_array(an_buffer *out, uint32_t flags, uint32_t rows, uint32_t columns, const an_buffer *body);
void mat_number(an_buffer *out, double value);
void mat_text(an_buffer *out, const char *text);

/* A file with the variable `synsets`; rows: what the array claims to have. */
void mat_file(an_buffer *out, const mat_synset *synsets, uint32_t count, uint32_t rows);
/* The same with each variable compressed. */
void mat_compress(an_buffer *out, const an_buffer *file);

#endif
