#include "store/jpeg/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "store/image/image.h"
#include "store/jpeg/huffman_private.h"

enum { MCU_BLOCKS = 6 }; /* the most blocks in an MCU: 4:2:0 */

typedef struct {
    const an_huffman_dc *dc;
    const an_huffman_ac *ac;
    uint32_t h, v; /* blocks of an MCU */
    int previous_dc;
} component;

/* A block's place in the MCU, and the column of blocks that it has reached on its way through an MCU row. */
typedef struct {
    component *of;
    uint32_t column; /* of blocks */
    const an_blocks_row *row;
} place;

struct an_jpeg_scan {
    an_huffman_dc dc[NUM_HUFF_TBLS];
    an_huffman_ac ac[NUM_HUFF_TBLS];
    uint8_t quantisation[3][64]; /* in zigzag order */
    component components[3];
    int count;
    uint32_t mcus_wide;
    an_buffer data;     /* the scan without stuffing, followed by AN_HUFFMAN_OVERRUN zero bytes */
    const uint8_t *end; /* of the scan, where the zero bytes begin */
    an_huffman_window window;
};

static bool has_factors(const jpeg_component_info *info, int h, int v)
{
    return info->h_samp_factor == h && info->v_samp_factor == v;
}

static bool sampling_of(const struct jpeg_decompress_struct *reader, an_sampling *out)
{
    const jpeg_component_info *c = reader->comp_info;
    *out = AN_SAMPLING_GREY;
    if (reader->jpeg_color_space == JCS_GRAYSCALE && reader->num_components == 1)
        return true;
    if (reader->jpeg_color_space != JCS_YCbCr || reader->num_components != 3)
        return false;
    *out = has_factors(c, 2, 2) ? AN_SAMPLING_420 : has_factors(c, 2, 1) ? AN_SAMPLING_422 : AN_SAMPLING_444;
    return (*out != AN_SAMPLING_444 || has_factors(c, 1, 1)) && has_factors(c + 1, 1, 1) && has_factors(c + 2, 1, 1);
}

bool an_jpeg_blocks(const struct jpeg_decompress_struct *reader, an_blocks *blocks)
{
    an_sampling sampling;
    if (reader->image_width > AN_IMAGE_SIDE_MAX || reader->image_height > AN_IMAGE_SIDE_MAX ||
        !sampling_of(reader, &sampling))
        return false;
    an_blocks_init(blocks, reader->image_width, reader->image_height, sampling);
    return true;
}

int an_jpeg_scan_create(an_jpeg_scan **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory");
}

void an_jpeg_scan_free(an_jpeg_scan *scan)
{
    if (!scan)
        return;
    an_buffer_free(&scan->data);
    free(scan);
}

static bool set_quantisation(an_jpeg_scan *scan, int c, const JQUANT_TBL *table, an_blocks *blocks)
{
    if (!table)
        return false;
    for (int i = 0; i < 64; i++) {
        UINT16 value = table->quantval[an_blocks_zigzag[i]];
        if (value < 1 || value > 255)
            return false;
        scan->quantisation[c][i] = (uint8_t)value;
    }
    blocks->component[c].quantisation = scan->quantisation[c];
    return true;
}

static bool set_codes(an_jpeg_scan *scan, int c, const struct jpeg_decompress_struct *reader)
{
    int dc = reader->comp_info[c].dc_tbl_no, ac = reader->comp_info[c].ac_tbl_no;
    if (dc < 0 || dc >= NUM_HUFF_TBLS || ac < 0 || ac >= NUM_HUFF_TBLS || !reader->dc_huff_tbl_ptrs[dc] ||
        !reader->ac_huff_tbl_ptrs[ac])
        return false;
    scan->components[c].dc = &scan->dc[dc];
    scan->components[c].ac = &scan->ac[ac];
    return an_huffman_dc_set(&scan->dc[dc], reader->dc_huff_tbl_ptrs[dc]) &&
           an_huffman_ac_set(&scan->ac[ac], reader->ac_huff_tbl_ptrs[ac]);
}

static bool start_component(an_jpeg_scan *scan, int c, const struct jpeg_decompress_struct *reader, an_blocks *blocks)
{
    const jpeg_component_info *info = &reader->comp_info[c];
    component *to = &scan->components[c];
    bool alone = reader->num_components == 1; /* then an MCU is one block, whatever the factors are */
    to->h = alone ? 1 : (uint32_t)info->h_samp_factor;
    to->v = alone ? 1 : (uint32_t)info->v_samp_factor;
    to->previous_dc = 0;
    return info == reader->cur_comp_info[c] && info->quant_tbl_no >= 0 && info->quant_tbl_no < NUM_QUANT_TBLS &&
           set_quantisation(scan, c, reader->quant_tbl_ptrs[info->quant_tbl_no], blocks) && set_codes(scan, c, reader);
}

/* Copy the scan's data without the zero byte that follows each 0xff. False when the data ends with anything but the
 * end-of-image marker. */
static bool unstuff(an_jpeg_scan *scan, const uint8_t *from, size_t size)
{
    scan->data.size = 0;
    if (an_buffer_reserve(&scan->data, size + AN_HUFFMAN_OVERRUN))
        return false;
    uint8_t *to = scan->data.data;
    const uint8_t *end = from + size;
    for (;;) {
        const uint8_t *found = memchr(from, 0xff, (size_t)(end - from));
        if (!found || end - found < 2 || (found[1] != 0 && found[1] != 0xd9))
            return false;
        size_t length = (size_t)(found - from) + (found[1] == 0);
        memcpy(to, from, length);
        to += length;
        from = found + 2;
        if (found[1] == 0xd9)
            break;
    }
    memset(to, 0, AN_HUFFMAN_OVERRUN);
    scan->end = to;
    scan->window = (an_huffman_window){0, 0, scan->data.data};
    return true;
}

bool an_jpeg_scan_start(an_jpeg_scan *scan, const struct jpeg_decompress_struct *reader, an_blocks *blocks)
{
    bool sequential = reader->Ss == 0 && reader->Se == 63 && reader->Ah == 0 && reader->Al == 0;
    if (reader->progressive_mode || reader->arith_code || reader->restart_interval != 0 || !sequential ||
        reader->comps_in_scan != reader->num_components || reader->data_precision != 8)
        return false;
    for (int c = 0; c < reader->num_components; c++)
        if (!start_component(scan, c, reader, blocks))
            return false;
    const component *luma = &scan->components[0];
    scan->count = reader->num_components;
    scan->mcus_wide = (blocks->component[0].blocks_wide + luma->h - 1) / luma->h;
    return unstuff(scan, reader->src->next_input_byte, reader->src->bytes_in_buffer);
}

/* Set the places of an MCU in the order that its blocks have in the scan; returns their number. */
static unsigned set_places(an_jpeg_scan *scan, const an_blocks_row *rows, place places[MCU_BLOCKS])
{
    unsigned count = 0;
    for (int c = 0; c < scan->count; c++) {
        component *of = &scan->components[c];
        for (uint32_t v = 0; v < of->v; v++, rows++)
            for (uint32_t h = 0; h < of->h; h++)
                places[count++] = (place){of, h, rows};
    }
    return count;
}

/* The scan's remaining bits; negative when more were used than there are. */
static ptrdiff_t bits_left(const an_jpeg_scan *scan, const an_huffman_window *window)
{
    return 8 * (scan->end - window->next) + (ptrdiff_t)window->available;
}

bool an_jpeg_scan_mcu_row(an_jpeg_scan *scan, const an_blocks_row rows[AN_BLOCKS_MCU_ROWS])
{
    place places[MCU_BLOCKS];
    int16_t forgotten[64];
    an_huffman_window window = scan->window;
    unsigned count = set_places(scan, rows, places), i = 0;
    for (uint32_t left = count * scan->mcus_wide; left > 0; left--) {
        place *at = &places[i];
        const an_blocks_row *row = at->row;
        bool wanted = at->column >= row->first && at->column < row->end;
        component *of = at->of;
        if (!an_huffman_block(of->dc, of->ac, &window, &of->previous_dc,
                              wanted ? row->blocks[at->column - row->first] : forgotten) ||
            bits_left(scan, &window) < 0)
            return false;
        at->column += of->h;
        i = i + 1 == count ? 0 : i + 1;
    }
    scan->window = window;
    return true;
}

bool an_jpeg_scan_end(const an_jpeg_scan *scan)
{
    return bits_left(scan, &scan->window) < 8;
}
