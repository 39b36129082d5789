/* JPEG files to coef: ordinary ones from their scan, with our own Huffman decoder; all others through libjpeg-turbo. */
#include <string.h>

#include "base/error.h"
#include "store/coef/encoder_private.h"

/* Whether a progressive file lacks its last scans. libjpeg-turbo smooths such an image, so that its pixels are not
 * those of its coefficients. */
static bool lacks_scans(const struct jpeg_decompress_struct *reader)
{
    for (int c = 0; reader->progressive_mode && reader->coef_bits && c < reader->num_components; c++)
        for (int i = 0; i < 64; i++)
            if (reader->coef_bits[c][i] != 0)
                return true;
    return false;
}

/* A component's quantisation table. Once the component's first scan has begun, the table is that of the component;
 * before, it is the one of the number that the header names. NULL: none. */
static const UINT16 *table_of(const struct jpeg_decompress_struct *reader, int c)
{
    const jpeg_component_info *component = &reader->comp_info[c];
    const JQUANT_TBL *table = component->quant_table;
    if (!table && component->quant_tbl_no >= 0 && component->quant_tbl_no < NUM_QUANT_TBLS)
        table = reader->quant_tbl_ptrs[component->quant_tbl_no];
    return table ? table->quantval : NULL;
}

static bool same_table(const UINT16 *a, const UINT16 *b)
{
    return memcmp(a, b, 64 * sizeof(UINT16)) == 0;
}

/* How many quantisation tables the payload needs: components with the same one share it. */
static uint32_t count_tables(const an_blocks *blocks, const UINT16 *const tables[3])
{
    if (blocks->components == 1)
        return 1;
    if (!same_table(tables[1], tables[2]))
        return 3;
    return same_table(tables[0], tables[1]) ? 1 : 2;
}

static int put_table(const UINT16 table[64], an_buffer *out)
{
    uint8_t bytes[64];
    for (int i = 0; i < 64; i++) {
        if (table[an_blocks_zigzag[i]] < 1 || table[an_blocks_zigzag[i]] > 255)
            return an_error(AN_EUNSUPPORTED, "quantisation table with values beyond 1 to 255: keep it as jpeg");
        bytes[i] = (uint8_t)table[an_blocks_zigzag[i]];
    }
    return an_buffer_append(out, bytes, sizeof bytes);
}

int an_coef_put_header(const an_blocks *blocks, const UINT16 *const tables[3], an_buffer *out)
{
    uint32_t count = count_tables(blocks, tables);
    uint32_t width = blocks->width, height = blocks->height;
    const uint8_t header[AN_COEF_HEADER] = {
        AN_COEF_VERSION, (uint8_t)blocks->sampling, (uint8_t)count,  0,
        (uint8_t)width,  (uint8_t)(width >> 8),     (uint8_t)height, (uint8_t)(height >> 8)};
    int rc = an_buffer_append(out, header, sizeof header);
    for (uint32_t t = 0; !rc && t < count; t++)
        rc = put_table(tables[t], out);
    if (rc)
        return rc;
    rc = an_buffer_reserve(out, out->size + 2 * (size_t)blocks->block_rows);
    if (rc)
        return rc;
    out->size += 2 * (size_t)blocks->block_rows; /* the lengths are set as the rows are made */
    return AN_OK;
}

/* The header for a JPEG file; fills in `tables`. */
static int put_header(const struct jpeg_decompress_struct *reader, const an_blocks *blocks, const UINT16 *tables[3],
                      an_buffer *out)
{
    for (int c = 0; c < blocks->components; c++) {
        tables[c] = table_of(reader, c);
        if (!tables[c])
            return an_error(AN_ECORRUPT, "damaged JPEG: quantisation table missing");
    }
    return an_coef_put_header(blocks, tables, out);
}

int an_coef_put_padding(an_buffer *out)
{
    const uint8_t padding[AN_COEF_PADDING] = {0};
    return an_buffer_append(out, padding, sizeof padding);
}

static int finish_row(an_coef_packer *packer, size_t length_at, an_buffer *out)
{
    size_t size;
    int rc = an_coef_packer_finish(packer, out, &size);
    if (rc)
        return rc;
    if (size > AN_COEF_ROW_MAX)
        return an_error(AN_EUNSUPPORTED, "row of blocks of more than %d bytes: keep it as jpeg", AN_COEF_ROW_MAX);
    out->data[length_at] = (uint8_t)size;
    out->data[length_at + 1] = (uint8_t)(size >> 8);
    return AN_OK;
}

int an_coef_put_row(an_coef_encoder *e, const UINT16 quantisation[64], uint32_t blocks_wide,
                    const int16_t (*blocks)[64], size_t length_at, an_buffer *out)
{
    int rc = an_coef_packer_start(&e->packer, blocks_wide);
    if (rc)
        return rc;
    for (size_t b = 0; b < blocks_wide; b++)
        if (!an_coef_packer_block(&e->packer, blocks[b], quantisation))
            return an_error(AN_EUNSUPPORTED, "coefficients too large for arithmetic of 16 bits: keep it as jpeg");
    return finish_row(&e->packer, length_at, out);
}

int an_coef_reserve_mcu_row(an_coef_encoder *e, const an_blocks *blocks)
{
    return an_buffer_reserve(&e->mcu_row, AN_BLOCKS_MCU_ROWS * blocks->component[0].blocks_wide * sizeof(int16_t[64]));
}

int16_t (*an_coef_mcu_row_at(const an_coef_encoder *e, const an_blocks *blocks, int c, uint32_t r))[64]
{
    size_t index = r;
    for (int i = 0; i < c; i++)
        index += blocks->component[i].rows_per_mcu;
    return (int16_t(*)[64])(void *)e->mcu_row.data + index * blocks->component[0].blocks_wide;
}

int an_coef_put_mcu_row(an_coef_encoder *e, const an_blocks *blocks, const UINT16 *const tables[3], uint32_t mcu_row,
                        size_t *length_at, an_buffer *out)
{
    int rc = AN_OK;
    for (int c = 0; c < blocks->components; c++) {
        const an_blocks_component *component = &blocks->component[c];
        uint32_t rows = an_blocks_rows_in_mcu(component, mcu_row);
        for (uint32_t r = 0; !rc && r < rows; r++, *length_at += 2)
            rc = an_coef_put_row(e, tables[c], component->blocks_wide, (void *)an_coef_mcu_row_at(e, blocks, c, r),
                                 *length_at, out);
    }
    return rc;
}

/* Decode one MCU row from the scan into e->mcu_row. */
static int take_mcu_row(an_coef_encoder *e, const an_blocks *blocks)
{
    an_blocks_row rows[AN_BLOCKS_MCU_ROWS], *row = rows;
    for (int c = 0; c < blocks->components; c++)
        for (uint32_t r = 0; r < blocks->component[c].rows_per_mcu; r++)
            *row++ = (an_blocks_row){an_coef_mcu_row_at(e, blocks, c, r), 0, blocks->component[c].blocks_wide};
    memset(e->mcu_row.data, 0, (size_t)(row - rows) * blocks->component[0].blocks_wide * sizeof(int16_t[64]));
    return an_jpeg_scan_mcu_row(e->scan, rows) ? AN_OK : AN_AGAIN;
}

static int put_scan(an_coef_encoder *e, const an_blocks *blocks, const UINT16 *const tables[3], size_t length_at,
                    an_buffer *out)
{
    int rc = an_coef_reserve_mcu_row(e, blocks);
    if (rc)
        return rc;
    for (uint32_t m = 0; m < blocks->mcu_rows; m++) {
        rc = take_mcu_row(e, blocks);
        if (rc)
            return rc;
        rc = an_coef_put_mcu_row(e, blocks, tables, m, &length_at, out);
        if (rc)
            return rc;
    }
    return an_jpeg_scan_end(e->scan) ? AN_OK : AN_AGAIN;
}

static int put_arrays(an_coef_encoder *e, const an_blocks *blocks, const UINT16 *const tables[3],
                      jvirt_barray_ptr *arrays, size_t length_at, an_buffer *out)
{
    struct jpeg_decompress_struct *reader = &e->reader;
    for (uint32_t m = 0; m < blocks->mcu_rows; m++)
        for (int c = 0; c < blocks->components; c++) {
            const an_blocks_component *component = &blocks->component[c];
            uint32_t rows = an_blocks_rows_in_mcu(component, m);
            for (uint32_t r = 0; r < rows; r++, length_at += 2) {
                JDIMENSION y = m * component->rows_per_mcu + r;
                JBLOCKARRAY row = reader->mem->access_virt_barray((j_common_ptr)reader, arrays[c], y, 1, FALSE);
                int rc = an_coef_put_row(e, tables[c], component->blocks_wide, (void *)row[0], length_at, out);
                if (rc)
                    return rc;
            }
        }
    return AN_OK;
}

/* The way for any file that libjpeg-turbo can read: through its arrays of the whole image's coefficients. */
static int encode_arrays(an_coef_encoder *e, const an_blocks *blocks, an_buffer *out)
{
    jvirt_barray_ptr *arrays = jpeg_read_coefficients(&e->reader);
    if (lacks_scans(&e->reader))
        return an_error(AN_EUNSUPPORTED, "progressive file without its last scans: keep it as jpeg");
    if (e->errors.warnings > 0)
        return an_error(AN_ECORRUPT, "damaged JPEG: %s", e->errors.warning);
    const UINT16 *tables[3];
    int rc = put_header(&e->reader, blocks, tables, out);
    if (rc)
        return rc;
    return put_arrays(e, blocks, tables, arrays, out->size - 2 * (size_t)blocks->block_rows, out);
}

/* The way for ordinary files: MCU row by MCU row from the scan. AN_AGAIN: the file has to go through libjpeg-turbo,
 * which decides whether it is damaged. */
static int encode_scan(an_coef_encoder *e, an_blocks *blocks, an_buffer *out)
{
    if (e->errors.warnings > 0 || !an_jpeg_scan_start(e->scan, &e->reader, blocks))
        return AN_AGAIN;
    const UINT16 *tables[3];
    int rc = put_header(&e->reader, blocks, tables, out);
    if (rc)
        return rc;
    return put_scan(e, blocks, tables, out->size - 2 * (size_t)blocks->block_rows, out);
}

typedef struct {
    an_coef_encoder *encoder;
    const uint8_t *jpeg;
    size_t size;
    an_buffer *out;
} job;

static int encode(void *context)
{
    const job *j = context;
    an_coef_encoder *e = j->encoder;
    an_buffer *out = j->out;
    an_jpeg_open(&e->reader, &e->errors, &e->limits, j->jpeg, j->size);
    an_blocks blocks;
    if (!an_jpeg_blocks(&e->reader, &blocks))
        return an_error(AN_EUNSUPPORTED,
                        "not grey or YCbCr with 4:4:4, 4:2:2 or 4:2:0 of at most %d pixels a side: keep it as jpeg",
                        AN_IMAGE_SIDE_MAX);
    const size_t before = out->size;
    int rc = encode_scan(e, &blocks, out);
    if (rc == AN_AGAIN) {
        out->size = before;
        rc = encode_arrays(e, &blocks, out);
    }
    if (rc)
        return rc;
    return an_coef_put_padding(out);
}

int an_coef_encode_jpeg(an_coef_encoder *encoder, const uint8_t *jpeg, size_t size, an_buffer *out)
{
    const size_t before = out->size;
    job j = {encoder, jpeg, size, out};
    int rc = an_jpeg_guard(&encoder->errors, encode, &j);
    an_jpeg_close(&encoder->reader);
    if (rc)
        out->size = before;
    return rc;
}
