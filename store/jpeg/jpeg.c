#include "store/jpeg/jpeg.h"

#include <stdlib.h>

#include "base/error.h"
#include "store/jpeg/jpeg_private.h"

/* Fails where the library is of another version than its headers. */
static int begin(void *context)
{
    an_jpeg_decoder *d = context;
    an_jpeg_begin(&d->jpeg, &d->errors, &d->limits);
    return AN_OK;
}

int an_jpeg_decoder_create_plain(an_jpeg_decoder **out)
{
    *out = NULL;
    an_jpeg_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return an_error(AN_ENOMEM, "out of memory: JPEG decoder");
    an_jpeg_errors_init(&d->errors);
    d->jpeg.client_data = d;
    int rc = an_jpeg_guard(&d->errors, begin, d);
    if (rc) {
        an_jpeg_decoder_free(d);
        return rc;
    }
    *out = d;
    return AN_OK;
}

int an_jpeg_decoder_create(an_jpeg_decoder **out)
{
    int rc = an_jpeg_decoder_create_plain(out);
    if (!rc)
        rc = an_jpeg_fast_create(*out);
    if (rc) {
        an_jpeg_decoder_free(*out);
        *out = NULL;
    }
    return rc;
}

void an_jpeg_decoder_free(an_jpeg_decoder *decoder)
{
    if (!decoder)
        return;
    an_jpeg_fast_free(decoder);
    an_jpeg_end(&decoder->jpeg);
    an_buffer_free(&decoder->row);
    free(decoder);
}

void an_jpeg_read_header(an_jpeg_decoder *d, const uint8_t *data, size_t size)
{
    an_jpeg_open(&d->jpeg, &d->errors, &d->limits, data, size);
}

void an_jpeg_set_output(an_jpeg_decoder *d)
{
    d->jpeg.out_color_space = d->jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
    d->jpeg.dct_method = JDCT_ISLOW;
    d->jpeg.do_fancy_upsampling = TRUE;
}

/* a * b / 255, rounded. */
static inline uint8_t scale(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return (uint8_t)((t + (t >> 8)) >> 8);
}

void an_jpeg_from_cmyk(const uint8_t *cmyk, size_t pixels, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = scale(cmyk[c], cmyk[3]);
}

static bool has_sampling(const jpeg_component_info *component, int h, int v)
{
    return component->h_samp_factor == h && component->v_samp_factor == v;
}

void an_jpeg_describe(const an_jpeg_decoder *d, an_jpeg_info *info)
{
    const struct jpeg_decompress_struct *jpeg = &d->jpeg;
    const jpeg_component_info *components = jpeg->comp_info;
    *info =
        (an_jpeg_info){.width = jpeg->image_width, .height = jpeg->image_height, .components = jpeg->num_components};
    info->baseline_420 = jpeg->num_components == 3 && jpeg->jpeg_color_space == JCS_YCbCr && !jpeg->progressive_mode &&
                         !jpeg->arith_code && has_sampling(&components[0], 2, 2) &&
                         has_sampling(&components[1], 1, 1) && has_sampling(&components[2], 1, 1);
}

typedef struct {
    an_jpeg_decoder *decoder;
    const uint8_t *data;
    size_t size;
    an_jpeg_info *info;
} job;

static int read_info(void *context)
{
    const job *j = context;
    an_jpeg_read_header(j->decoder, j->data, j->size);
    an_jpeg_describe(j->decoder, j->info);
    j->info->warnings = j->decoder->errors.warnings;
    return AN_OK;
}

int an_jpeg_info_read(an_jpeg_decoder *decoder, const uint8_t *data, size_t size, an_jpeg_info *info)
{
    job j = {decoder, data, size, info};
    int rc = an_jpeg_guard(&decoder->errors, read_info, &j);
    an_jpeg_close(&decoder->jpeg);
    return rc;
}

#define TEXT_OF(token) #token
#define TEXT(macro) TEXT_OF(macro)

int an_jpeg_libraries(an_buffer *out)
{
    return an_buffer_printf(out, "libjpeg-turbo %s\n", TEXT(LIBJPEG_TURBO_VERSION));
}
