#include "base/png.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>

#include "base/error.h"

/* Everything that must survive libpng's longjmp lives here, not in locals. */
typedef struct {
    png_structp png;
    png_infop info;
    an_buffer *out;
    int code; /* of a failure raised inside a callback */
    char message[160];
} png_writer;

static void on_error(png_structp png, png_const_charp message)
{
    png_writer *writer = png_get_error_ptr(png);
    snprintf(writer->message, sizeof(writer->message), "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void write_bytes(png_structp png, png_bytep data, size_t size)
{
    png_writer *writer = png_get_io_ptr(png);
    writer->code = an_buffer_append(writer->out, data, size);
    if (writer->code)
        png_error(png, "out of memory");
}

static void flush_nothing(png_structp png)
{
    (void)png;
}

static int write_file(png_writer *writer, const uint8_t *pixels, an_png_pixels format, uint32_t width, uint32_t height,
                      size_t stride)
{
    if (setjmp(png_jmpbuf(writer->png)))
        return writer->code ? writer->code : an_error(AN_EINTERNAL, "cannot write a PNG: %s", writer->message);
    png_set_write_fn(writer->png, writer, write_bytes, flush_nothing);
    png_set_IHDR(writer->png, writer->info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(writer->png, writer->info);
    if (format == AN_PNG_BGRX) {
        png_set_bgr(writer->png);
        png_set_filler(writer->png, 0, PNG_FILLER_AFTER);
    }
    for (uint32_t y = 0; y < height; y++)
        png_write_row(writer->png, pixels + stride * y);
    png_write_end(writer->png, NULL);
    return AN_OK;
}

int an_png_write(const uint8_t *pixels, an_png_pixels format, uint32_t width, uint32_t height, size_t stride,
                 an_buffer *out)
{
    png_writer writer = {.out = out};
    size_t before = out->size;
    writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer, on_error, on_warning);
    writer.info = writer.png ? png_create_info_struct(writer.png) : NULL;
    int rc = writer.info ? write_file(&writer, pixels, format, width, height, stride)
                         : an_error(AN_ENOMEM, "out of memory for a PNG");
    png_destroy_write_struct(&writer.png, &writer.info);
    if (rc)
        out->size = before;
    return rc;
}
