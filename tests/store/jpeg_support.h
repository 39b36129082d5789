/* JPEG files of every kind for tests, made with libjpeg-turbo itself. All failures end the test. */
#ifndef AN_TESTS_STORE_JPEG_SUPPORT_H
#define AN_TESTS_STORE_JPEG_SUPPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/image/image.h"

typedef enum { TEST_GREY, TEST_YCC, TEST_RGB, TEST_CMYK, TEST_YCCK } test_jpeg_space;

typedef struct {
    uint32_t width, height;
    test_jpeg_space space;
    int horizontal, vertical; /* sampling factors of the first component; the others have 1 */
    bool progressive, arithmetic, without_adobe;
    bool dc_only;   /* progressive, and only the first scan is there (three components) */
    bool optimized; /* Huffman tables made for this picture */
    int restart;    /* MCUs between restart markers; 0: none */
    int quality;    /* 0: 90 */
} test_jpeg;

/* Append the file; the picture depends on the size and seed alone. */
void test_jpeg_make(const test_jpeg *spec, uint32_t seed, an_buffer *out);

/* Smooth shapes with noise, every channel its own. components: 1, 3 or 4. */
void test_picture(uint8_t *pixels, uint32_t width, uint32_t height, int components, uint32_t seed);

/* The same as an image. */
void test_image_make(an_image *image, uint32_t width, uint32_t height, uint32_t seed);

/* Position of the first marker 0xff `code` in the file. */
size_t test_jpeg_marker(const an_buffer *file, uint8_t code);

/* Remove every segment 0xff `code` before the first scan's data, all but the first `keep` of them. */
void test_jpeg_strip(an_buffer *file, uint8_t code, int keep);

/* Insert bytes before position `at`. */
void test_jpeg_insert(an_buffer *file, size_t at, const void *bytes, size_t size);

#endif
