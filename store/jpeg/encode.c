#include <stdlib.h>

#include "base/error.h"
#include "store/jpeg/compress.h"
#include "store/jpeg/errors.h"

const char *const an_jpeg_subsampling_names[] = {
    [AN_JPEG_420] = "420", [AN_JPEG_422] = "422", [AN_JPEG_444] = "444", NULL};

struct an_jpeg_encoder {
    an_jpeg_errors errors;
    struct jpeg_compress_struct jpeg;
    struct jpeg_destination_mgr destination;
    an_buffer *out; /* the caller's, during a call */
};

enum { ROOM = 16384 }; /* bytes that the output grows by at least */

static void give_room(an_jpeg_encoder *e)
{
    int rc = an_buffer_reserve(e->out, e->out->size + ROOM);
    if (rc)
        an_jpeg_escape(&e->errors, rc);
    e->destination.next_output_byte = e->out->data + e->out->size;
    e->destination.free_in_buffer = e->out->capacity - e->out->size;
}

static void start_output(j_compress_ptr jpeg)
{
    give_room(jpeg->client_data);
}

/* When libjpeg-turbo calls this, the whole buffer is in use, whatever free_in_buffer says. */
static boolean grow_output(j_compress_ptr jpeg)
{
    an_jpeg_encoder *e = jpeg->client_data;
    e->out->size = e->out->capacity;
    give_room(e);
    return TRUE;
}

static void finish_output(j_compress_ptr jpeg)
{
    an_jpeg_encoder *e = jpeg->client_data;
    e->out->size = e->out->capacity - e->destination.free_in_buffer;
}

static int create(void *context)
{
    an_jpeg_encoder *e = context;
    jpeg_create_compress(&e->jpeg);
    return AN_OK;
}

int an_jpeg_encoder_create(an_jpeg_encoder **out)
{
    *out = NULL;
    an_jpeg_encoder *e = calloc(1, sizeof *e);
    if (!e)
        return an_error(AN_ENOMEM, "out of memory: JPEG encoder");
    an_jpeg_errors_init(&e->errors);
    e->jpeg.err = &e->errors.manager;
    e->jpeg.client_data = e;
    int rc = an_jpeg_guard(&e->errors, create, e);
    if (rc) {
        an_jpeg_encoder_free(e);
        return rc;
    }
    e->destination.init_destination = start_output;
    e->destination.empty_output_buffer = grow_output;
    e->destination.term_destination = finish_output;
    e->jpeg.dest = &e->destination;
    *out = e;
    return AN_OK;
}

void an_jpeg_encoder_free(an_jpeg_encoder *encoder)
{
    if (!encoder)
        return;
    jpeg_destroy_compress(&encoder->jpeg);
    free(encoder);
}

int an_jpeg_check(const an_image *image, int quality, an_jpeg_subsampling subsampling)
{
    if (image->width == 0 || image->height == 0 || image->width > JPEG_MAX_DIMENSION ||
        image->height > JPEG_MAX_DIMENSION)
        return an_error(AN_EINVAL, "cannot write an image of %ux%u pixels as JPEG: 1 to %ld a side are possible",
                        image->width, image->height, JPEG_MAX_DIMENSION);
    if (quality < 1 || quality > 100)
        return an_error(AN_EINVAL, "JPEG quality %d: 1 to 100 are possible", quality);
    if ((unsigned)subsampling > AN_JPEG_444)
        return an_error(AN_EINVAL, "unknown JPEG subsampling %d", (int)subsampling);
    return AN_OK;
}

void an_jpeg_start(struct jpeg_compress_struct *jpeg, const an_image *image, int quality,
                   an_jpeg_subsampling subsampling)
{
    jpeg->image_width = image->width;
    jpeg->image_height = image->height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->comp_info[0].h_samp_factor = subsampling == AN_JPEG_444 ? 1 : 2;
    jpeg->comp_info[0].v_samp_factor = subsampling == AN_JPEG_420 ? 2 : 1;
    jpeg_start_compress(jpeg, TRUE);
}

void an_jpeg_write(struct jpeg_compress_struct *jpeg, const an_image *image)
{
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = image->pixels + (size_t)jpeg->next_scanline * image->width * 3;
        (void)jpeg_write_scanlines(jpeg, &row, 1); /* takes one row: the destination never suspends */
    }
    jpeg_finish_compress(jpeg);
}

typedef struct {
    an_jpeg_encoder *encoder;
    const an_image *image;
    int quality;
    an_jpeg_subsampling subsampling;
} job;

static int encode(void *context)
{
    const job *j = context;
    an_jpeg_start(&j->encoder->jpeg, j->image, j->quality, j->subsampling);
    an_jpeg_write(&j->encoder->jpeg, j->image);
    return AN_OK;
}

int an_jpeg_encode(an_jpeg_encoder *encoder, const an_image *image, int quality, an_jpeg_subsampling subsampling,
                   an_buffer *out)
{
    job j = {encoder, image, quality, subsampling};
    int rc = an_jpeg_check(image, quality, subsampling);
    if (rc)
        return rc;
    size_t before = out->size;
    encoder->out = out;
    rc = an_jpeg_guard(&encoder->errors, encode, &j);
    jpeg_abort_compress(&encoder->jpeg);
    encoder->out = NULL;
    if (rc)
        out->size = before;
    return rc;
}
