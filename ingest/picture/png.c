#include "ingest/picture/png.h"

#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/picture/picture_private.h"

/* Everything that must survive libpng's longjmp lives here, not in locals. */
typedef struct {
    png_structp png;
    png_infop info;
    const uint8_t *data;
    size_t size, position;
    int passes;      /* over the rows: 7 where they are interlaced */
    bool at_the_end; /* the last rows are being read */
    size_t end_size; /* bytes of picture data since then */
    uint32_t width, height;
    bool alpha;
    bool out_of_memory;
    char message[160];
} png_job;

static void on_error(png_structp png, png_const_charp message)
{
    png_job *job = png_get_error_ptr(png);
    snprintf(job->message, sizeof(job->message), "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

/* libpng reports that it lacks memory like damage; but that is no fault of the file. */
static png_voidp allocate(png_structp png, size_t size)
{
    png_job *job = png_get_mem_ptr(png);
    void *memory = malloc(size);
    job->out_of_memory |= !memory;
    return memory;
}

static void release(png_structp png, png_voidp memory)
{
    (void)png;
    free(memory);
}

static int failed(const png_job *job)
{
    if (job->out_of_memory)
        return an_error(AN_ENOMEM, "out of memory for a PNG");
    return an_error(AN_ECORRUPT, "damaged PNG: %s", job->message);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* libpng unpacks picture data behind the last row as well, to see that they are sound, and zeros unpack to a thousand
 * times their size: there may be a few bytes more than two rows of 16-bit pixels with transparency take. */
#define SURPLUS_MAX ((size_t)1 << 16)
#define PICTURE_DATA 0x49444154u /* IDAT */

static void read_bytes(png_structp png, png_bytep out, size_t size)
{
    png_job *job = png_get_io_ptr(png);
    if (job->at_the_end && png_get_io_chunk_type(png) == PICTURE_DATA)
        job->end_size += size;
    if (job->end_size > SURPLUS_MAX + 2 * 8 * (size_t)job->width)
        png_error(png, "too much data behind the last row");
    if (size > job->size - job->position)
        png_error(png, "truncated");
    memcpy(out, job->data + job->position, size);
    job->position += size;
}

static void expand_to_rgb(png_job *job)
{
    png_set_expand(job->png);
    png_set_scale_16(job->png);
    png_set_gray_to_rgb(job->png);
    job->passes = png_set_interlace_handling(job->png);
    job->alpha = png_get_color_type(job->png, job->info) & PNG_COLOR_MASK_ALPHA ||
                 png_get_valid(job->png, job->info, PNG_INFO_tRNS);
    png_read_update_info(job->png, job->info);
}

/* Of all that is not the picture (texts, profiles, palettes for other screens, animations) only transparency changes a
 * pixel. libpng would unpack and keep it: a small file of compressed texts can fill gigabytes. */
static void pass_over_the_rest(png_job *job)
{
    enum { ALL_BUT_TRANSPARENCY = -1 };
    png_set_keep_unknown_chunks(job->png, PNG_HANDLE_CHUNK_NEVER, NULL, ALL_BUT_TRANSPARENCY);
}

static int read_header(png_job *job, uint64_t pixels_max)
{
    if (setjmp(png_jmpbuf(job->png)))
        return failed(job);
    pass_over_the_rest(job);
    png_set_read_fn(job->png, job, read_bytes);
    png_read_info(job->png, job->info);
    job->width = png_get_image_width(job->png, job->info);
    job->height = png_get_image_height(job->png, job->info);
    if ((uint64_t)job->width * job->height > pixels_max)
        return an_error(AN_EUNSUPPORTED, "PNG of %ux%u pixels: more than the limit of %llu pixels", job->width,
                        job->height, (unsigned long long)pixels_max);
    expand_to_rgb(job);
    return AN_OK;
}

static int read_pixels(png_job *job, uint8_t *pixels)
{
    if (setjmp(png_jmpbuf(job->png)))
        return failed(job);
    size_t stride = png_get_rowbytes(job->png, job->info);
    for (int pass = 0; pass < job->passes; pass++)
        for (uint32_t y = 0; y < job->height; y++) {
            job->at_the_end =
                pass + 1 == job->passes && y + 2 >= job->height; /* the last pass may end one row before */
            png_read_row(job->png, pixels + stride * y, NULL);
        }
    png_read_end(job->png, NULL);
    return AN_OK;
}

static void lay_over_white(const uint8_t *rgba, size_t n, uint8_t *rgb)
{
    for (size_t i = 0; i < n; i++, rgba += 4, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)((rgba[c] * rgba[3] + 255 * (255 - rgba[3]) + 127) / 255);
}

static int decode_body(png_job *job, an_buffer *scratch, an_image *out)
{
    int rc = an_image_set_size(out, job->width, job->height);
    if (rc)
        return rc;
    if (!job->alpha)
        return read_pixels(job, out->pixels);
    size_t pixels = (size_t)job->width * job->height;
    rc = an_buffer_reserve(scratch, 4 * pixels);
    if (!rc)
        rc = read_pixels(job, scratch->data);
    if (rc)
        return rc;
    lay_over_white(scratch->data, pixels, out->pixels);
    return AN_OK;
}

int an_png_decode(const uint8_t *data, size_t size, uint64_t pixels_max, an_buffer *scratch, an_image *out)
{
    png_job job = {.data = data, .size = size};
    job.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning, &job, allocate, release);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;
    int rc = job.info ? read_header(&job, pixels_max) : an_error(AN_ENOMEM, "out of memory for a PNG");
    if (!rc)
        rc = decode_body(&job, scratch, out);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    return rc;
}

static bool matches(const uint8_t *data, size_t size)
{
    return size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static int decode(an_picture *picture, const an_buffer *bytes, an_picture_info *info)
{
    (void)info;
    int rc = an_png_decode(bytes->data, bytes->size, picture->options.pixels_max, &picture->scratch, &picture->decoded);
    return rc == AN_EUNSUPPORTED ? an_picture_beyond_limit(picture) : rc;
}

const an_picture_format an_picture_png = {.name = "PNG", .matches = matches, .decode = decode};
