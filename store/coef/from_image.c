/* Pixels to coef. libjpeg-turbo's encoder converts colours, downsamples chroma, transforms and quantises. The blocks
 * that it then hands to its entropy coder, one MCU after the other, are put into rows of blocks instead. The payload is
 * that of the JPEG file which libjpeg-turbo would have written, without the time that Huffman coding takes. */
#include <string.h>

#include "base/error.h"
#include "store/coef/encoder_private.h"
#include "store/jpeg/compress.h"

#include <jpegint.h> /* after jpeglib.h: declares the encoder's modules, function pointers of which one is replaced */

typedef struct {
    an_coef_encoder *encoder;
    const an_image *image;
    int quality;
    an_jpeg_subsampling subsampling;
    an_buffer *out;
    an_blocks blocks;
    const UINT16 *tables[3];
    size_t length_at;      /* of the next row of blocks */
    uint32_t mcu_row, mcu; /* the next one */
} job;

static const UINT16 *table_of(const struct jpeg_compress_struct *writer, int c)
{
    return writer->quant_tbl_ptrs[writer->comp_info[c].quant_tbl_no]->quantval;
}

/* Called in place of the entropy coder's function. MCUs at the edges have blocks outside the image: dropped. */
static boolean take_mcu(j_compress_ptr writer, JBLOCKROW *blocks)
{
    an_coef_encoder *e = writer->client_data;
    job *j = e->image;
    for (int c = 0; c < 3; c++) {
        const an_blocks_component *component = &j->blocks.component[c];
        uint32_t across = (uint32_t)writer->comp_info[c].h_samp_factor;
        for (uint32_t r = 0; r < component->rows_per_mcu; r++)
            for (uint32_t x = j->mcu * across; x < (j->mcu + 1) * across; x++, blocks++)
                if (x < component->blocks_wide)
                    memcpy(an_coef_mcu_row_at(e, &j->blocks, c, r)[x], **blocks, sizeof **blocks);
    }
    if (++j->mcu < writer->MCUs_per_row)
        return TRUE;
    int rc = an_coef_put_mcu_row(e, &j->blocks, j->tables, j->mcu_row, &j->length_at, j->out);
    if (rc)
        an_jpeg_escape(&e->errors, rc);
    j->mcu = 0;
    j->mcu_row++;
    return TRUE;
}

static int encode(void *context)
{
    static const an_sampling samplings[] = {
        [AN_JPEG_420] = AN_SAMPLING_420, [AN_JPEG_422] = AN_SAMPLING_422, [AN_JPEG_444] = AN_SAMPLING_444};
    job *j = context;
    an_coef_encoder *e = j->encoder;
    an_blocks_init(&j->blocks, j->image->width, j->image->height, samplings[j->subsampling]);
    int rc = an_coef_reserve_mcu_row(e, &j->blocks);
    if (rc)
        return rc;
    an_jpeg_start(&e->writer, j->image, j->quality, j->subsampling);
    for (int c = 0; c < 3; c++)
        j->tables[c] = table_of(&e->writer, c);
    rc = an_coef_put_header(&j->blocks, j->tables, j->out);
    if (rc)
        return rc;
    j->length_at = j->out->size - 2 * (size_t)j->blocks.block_rows;
    e->writer.entropy->encode_mcu = take_mcu;
    an_jpeg_write(&e->writer, j->image);
    return an_coef_put_padding(j->out);
}

int an_coef_encode_image(an_coef_encoder *encoder, const an_image *image, int quality, an_jpeg_subsampling subsampling,
                         an_buffer *out)
{
    int rc = an_jpeg_check(image, quality, subsampling);
    if (rc)
        return rc;
    const size_t before = out->size;
    job j = {.encoder = encoder, .image = image, .quality = quality, .subsampling = subsampling, .out = out};
    encoder->image = &j;
    an_jpeg_errors_reset(&encoder->errors);
    rc = an_jpeg_guard(&encoder->errors, encode, &j);
    jpeg_abort_compress(&encoder->writer);
    encoder->image = NULL;
    if (rc)
        out->size = before;
    return rc;
}
