/* coef to JPEG files: the payload is unpacked into the coefficient arrays that libjpeg-turbo writes files from. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/coef/encoder_private.h"
#include "store/image/planes/kernels.h"

static void give_room(an_coef_encoder *e)
{
    size_t used = e->jpeg.size;
    int rc = an_buffer_reserve(&e->jpeg, used + 4096);
    if (rc)
        an_jpeg_escape(&e->errors, rc);
    e->destination.next_output_byte = e->jpeg.data + used;
    e->destination.free_in_buffer = e->jpeg.capacity - used;
}

static void start_output(j_compress_ptr writer)
{
    an_coef_encoder *e = writer->client_data;
    e->jpeg.size = 0;
    give_room(e);
}

/* When libjpeg-turbo calls this, the whole buffer is in use, whatever free_in_buffer says. */
static boolean grow_output(j_compress_ptr writer)
{
    an_coef_encoder *e = writer->client_data;
    e->jpeg.size = e->jpeg.capacity;
    give_room(e);
    return TRUE;
}

static void finish_output(j_compress_ptr writer)
{
    an_coef_encoder *e = writer->client_data;
    e->jpeg.size = e->jpeg.capacity - e->destination.free_in_buffer;
}

void an_coef_set_destination(an_coef_encoder *encoder)
{
    encoder->writer.dest = &encoder->destination;
    encoder->destination.init_destination = start_output;
    encoder->destination.empty_output_buffer = grow_output;
    encoder->destination.term_destination = finish_output;
}

static int reserve_row(an_coef_encoder *e, size_t blocks)
{
    if (blocks <= e->work_blocks)
        return AN_OK;
    free(e->work.dc);
    free(e->work.values);
    free(e->work.coefficients);
    e->work.dc = malloc(blocks * sizeof(int16_t));
    e->work.values = malloc(blocks * 63 + AN_PLANES_SLACK);
    e->work.coefficients = malloc(blocks * 64 * sizeof(int16_t));
    e->work_blocks = e->work.dc && e->work.values && e->work.coefficients ? blocks : 0;
    return e->work_blocks ? AN_OK : an_error(AN_ENOMEM, "out of memory");
}

static void set_writer(struct jpeg_compress_struct *writer, const an_coef_layout *layout)
{
    static const int factors[4][2] = {{1, 1}, {1, 1}, {2, 1}, {2, 2}};
    writer->image_width = layout->blocks.width;
    writer->image_height = layout->blocks.height;
    writer->input_components = layout->blocks.components;
    writer->in_color_space = layout->blocks.components == 1 ? JCS_GRAYSCALE : JCS_YCbCr;
    jpeg_set_defaults(writer);
    writer->comp_info[0].h_samp_factor = factors[layout->blocks.sampling][0];
    writer->comp_info[0].v_samp_factor = factors[layout->blocks.sampling][1];
    for (int c = 0; c < layout->blocks.components; c++) {
        int table = (uint32_t)c < layout->tables ? c : (int)layout->tables - 1;
        unsigned values[64];
        for (int i = 0; i < 64; i++)
            values[an_blocks_zigzag[i]] = layout->blocks.component[c].quantisation[i];
        if (c > 0)
            writer->comp_info[c].h_samp_factor = writer->comp_info[c].v_samp_factor = 1;
        writer->comp_info[c].quant_tbl_no = table;
        jpeg_add_quant_table(writer, table, values, 100, TRUE);
    }
    writer->optimize_coding = TRUE;
}

/* The coefficient arrays that jpeg_write_coefficients needs, which hold whole MCUs. */
static void request_arrays(struct jpeg_compress_struct *writer, const an_coef_layout *layout, jvirt_barray_ptr *arrays)
{
    for (int c = 0; c < layout->blocks.components; c++) {
        const an_blocks_component *component = &layout->blocks.component[c];
        JDIMENSION h = (JDIMENSION)writer->comp_info[c].h_samp_factor, v = component->rows_per_mcu;
        arrays[c] =
            writer->mem->request_virt_barray((j_common_ptr)writer, JPOOL_IMAGE, TRUE,
                                             (component->blocks_wide + h - 1) / h * h, layout->blocks.mcu_rows * v, v);
    }
}

static int fill_row(an_coef_encoder *e, const an_blocks_component *component, const uint8_t *row, size_t size,
                    JBLOCK *blocks)
{
    if (!an_coef_unpack_scalar(row, size, component->blocks_wide, 0, component->blocks_wide, &e->work))
        return an_error(AN_ECORRUPT, "coef payload is damaged: streams of a row of blocks do not fit it");
    memcpy(blocks, e->work.coefficients, component->blocks_wide * sizeof *blocks);
    return AN_OK;
}

static int fill_arrays(an_coef_encoder *e, const an_coef_layout *layout, jvirt_barray_ptr *arrays)
{
    struct jpeg_compress_struct *writer = &e->writer;
    const uint8_t *row = layout->rows, *length = layout->lengths;
    for (uint32_t m = 0; m < layout->blocks.mcu_rows; m++)
        for (int c = 0; c < layout->blocks.components; c++) {
            const an_blocks_component *component = &layout->blocks.component[c];
            uint32_t rows = an_blocks_rows_in_mcu(component, m);
            for (uint32_t r = 0; r < rows; r++, row += an_bytes_u16(length), length += 2) {
                JDIMENSION y = m * component->rows_per_mcu + r;
                JBLOCKARRAY blocks = writer->mem->access_virt_barray((j_common_ptr)writer, arrays[c], y, 1, TRUE);
                int rc = fill_row(e, component, row, an_bytes_u16(length), blocks[0]);
                if (rc)
                    return rc;
            }
        }
    return AN_OK;
}

typedef struct {
    an_coef_encoder *encoder;
    const an_coef_layout *layout;
} job;

static int write_jpeg(void *context)
{
    const job *j = context;
    an_coef_encoder *e = j->encoder;
    jvirt_barray_ptr arrays[3];
    set_writer(&e->writer, j->layout);
    request_arrays(&e->writer, j->layout, arrays);
    jpeg_write_coefficients(&e->writer, arrays); /* allocates the arrays; they are read only by jpeg_finish_compress */
    int rc = fill_arrays(e, j->layout, arrays);
    if (rc)
        return rc;
    jpeg_finish_compress(&e->writer);
    return AN_OK;
}

int an_coef_to_jpeg(an_coef_encoder *encoder, const uint8_t *payload, size_t size, an_buffer *out)
{
    an_coef_layout layout;
    int rc = an_coef_layout_parse(&layout, payload, size);
    if (rc)
        return rc;
    rc = reserve_row(encoder, layout.blocks.component[0].blocks_wide);
    if (rc)
        return rc;
    job j = {encoder, &layout};
    an_jpeg_errors_reset(&encoder->errors);
    rc = an_jpeg_guard(&encoder->errors, write_jpeg, &j);
    jpeg_abort_compress(&encoder->writer);
    if (rc)
        return rc;
    return an_buffer_append(out, encoder->jpeg.data, encoder->jpeg.size);
}
