#include "store/coef_scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/coef_range.h"

/* Looking up the next bits of the stream decodes a symbol together with its additional bits whenever both fit. An entry
 * holds the value in the upper half, then kind, run of zeros, and the bits used. */
enum {
    LOOKUP_BITS = 11,
    OVERRUN = 512 /* bytes that one block may use where there are none */
};

enum {
    KIND_LONG,  /* more bits than that, or no code */
    KIND_VALUE, /* complete */
    KIND_SIZE,  /* the code alone; its additional bits do not fit */
    KIND_END    /* end of block */
};

typedef struct {
    uint32_t lookup[1 << LOOKUP_BITS];
    uint32_t limit[18]; /* for a code length: the first 16-bit prefix beyond its codes; the last one is never reached */
    int32_t offset[17]; /* code -> position in symbols */
    JHUFF_TBL source;   /* what it was made from */
    bool dc, made;
} table;

typedef struct {
    const table *dc, *ac;
    uint16_t quantisation[64]; /* in zigzag order */
    uint32_t blocks_wide, blocks_high;
    uint32_t h, v; /* blocks of an MCU */
    int previous_dc;
} component;

/* The next bits of the stream, from the top, and at least `available` of them. Handed around by value: it must stay in
 * registers, as each symbol waits for the one before. */
typedef struct {
    uint64_t bits;
    unsigned available;
    const uint8_t *next;
} window;

struct an_coef_scan {
    table dc[NUM_HUFF_TBLS], ac[NUM_HUFF_TBLS];
    component components[3];
    int count;
    uint32_t mcus_wide;
    int8_t unused[64];  /* values of blocks that only fill up an MCU */
    an_buffer data;     /* of the scan, without stuffing, OVERRUN zero bytes behind it */
    const uint8_t *end; /* before these */
    window window;
};

int an_coef_scan_create(an_coef_scan **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory");
}

void an_coef_scan_free(an_coef_scan *scan)
{
    if (!scan)
        return;
    an_buffer_free(&scan->data);
    free(scan);
}

/* The value of size additional bits: those that begin with 0 are negative. */
static inline int extend(uint32_t bits, int size)
{
    return size == 0 ? 0 : bits >> (size - 1) ? (int)bits : (int)bits - (1 << size) + 1;
}

static inline uint32_t entry(int value, int kind, int run, int used)
{
    return (uint32_t)value << 16 | (uint32_t)(kind << 12 | run << 8 | used);
}

/* The entry for a prefix that begins with a code of length bits for symbol. */
static uint32_t make_entry(const table *t, uint32_t prefix, int length, int symbol)
{
    int size = symbol & 15, run = symbol >> 4, left = LOOKUP_BITS - length;
    if (!t->dc && size == 0)
        return entry(0, run == 15 ? KIND_SIZE : KIND_END, run, length);
    if (size > left)
        return entry(size, KIND_SIZE, run, length);
    uint32_t bits = prefix >> (left - size) & ((1u << size) - 1);
    return entry(extend(bits, size), KIND_VALUE, run, length + size);
}

static void fill_lookup(table *t, uint32_t code, int length, int symbol)
{
    uint32_t first = code << (LOOKUP_BITS - length), count = 1u << (LOOKUP_BITS - length);
    for (uint32_t i = 0; i < count; i++)
        t->lookup[first + i] = make_entry(t, first + i, length, symbol);
}

/* False when the table is not a prefix code, or a DC table has symbols beyond 15. */
static bool make_table(table *t, const JHUFF_TBL *source)
{
    uint32_t code = 0, symbol = 0;
    memset(t->lookup, 0, sizeof t->lookup);
    for (int length = 1; length <= 16; length++, code <<= 1) {
        t->offset[length] = (int32_t)symbol - (int32_t)code;
        if (code + source->bits[length] > 1u << length || symbol + source->bits[length] > 256)
            return false;
        for (int i = 0; i < source->bits[length]; i++, code++, symbol++) {
            if (t->dc && source->huffval[symbol] > 15)
                return false;
            if (length <= LOOKUP_BITS)
                fill_lookup(t, code, length, source->huffval[symbol]);
        }
        t->limit[length] = code << (16 - length);
    }
    t->source = *source;
    return true;
}

/* Most files of a dataset share their tables. */
static const table *find_table(table *t, const JHUFF_TBL *source, bool dc)
{
    if (!source)
        return NULL;
    if (t->made && memcmp(t->source.bits + 1, source->bits + 1, 16) == 0 &&
        memcmp(t->source.huffval, source->huffval, sizeof source->huffval) == 0)
        return t;
    t->dc = dc;
    t->made = make_table(t, source);
    return t->made ? t : NULL;
}

static bool start_component(an_coef_scan *scan, const struct jpeg_decompress_struct *reader,
                            const an_coef_layout *layout, int c)
{
    const jpeg_component_info *info = reader->cur_comp_info[c];
    component *to = &scan->components[c];
    if (info != &reader->comp_info[c] || info->quant_tbl_no >= NUM_QUANT_TBLS || info->dc_tbl_no >= NUM_HUFF_TBLS ||
        info->ac_tbl_no >= NUM_HUFF_TBLS)
        return false;
    const JQUANT_TBL *quantisation = reader->quant_tbl_ptrs[info->quant_tbl_no];
    to->dc = find_table(&scan->dc[info->dc_tbl_no], reader->dc_huff_tbl_ptrs[info->dc_tbl_no], true);
    to->ac = find_table(&scan->ac[info->ac_tbl_no], reader->ac_huff_tbl_ptrs[info->ac_tbl_no], false);
    if (!to->dc || !to->ac || !quantisation)
        return false;
    for (int i = 0; i < 64; i++)
        to->quantisation[i] = quantisation->quantval[an_coef_zigzag[i]];
    bool alone = reader->num_components == 1; /* then MCUs are blocks, whatever the factors */
    to->h = alone ? 1 : (uint32_t)info->h_samp_factor;
    to->v = alone ? 1 : (uint32_t)info->v_samp_factor;
    to->blocks_wide = layout->component[c].blocks_wide;
    to->blocks_high = layout->component[c].blocks_high;
    to->previous_dc = 0;
    return true;
}

/* Copy the scan's data without the zero byte after each 0xff. False when something else than the end of the image
 * follows. */
static bool unstuff(an_coef_scan *scan, const uint8_t *from, size_t size)
{
    scan->data.size = 0;
    if (an_buffer_reserve(&scan->data, size + OVERRUN) != AN_OK)
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
    memset(to, 0, OVERRUN);
    scan->end = to;
    scan->window = (window){0, 0, scan->data.data};
    return true;
}

bool an_coef_scan_start(an_coef_scan *scan, const struct jpeg_decompress_struct *reader, const an_coef_layout *layout)
{
    if (reader->progressive_mode || reader->arith_code || reader->restart_interval != 0 ||
        reader->comps_in_scan != reader->num_components || reader->data_precision != 8)
        return false;
    for (int c = 0; c < reader->num_components; c++)
        if (!start_component(scan, reader, layout, c))
            return false;
    const component *luma = &scan->components[0];
    scan->count = reader->num_components;
    scan->mcus_wide = (luma->blocks_wide + luma->h - 1) / luma->h;
    return unstuff(scan, reader->src->next_input_byte, reader->src->bytes_in_buffer);
}

/* At least 56 bits. Whether it was necessary cannot be predicted, so nobody asks. */
static inline window refill(window w)
{
    uint64_t v;
    memcpy(&v, w.next, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return (window){w.bits | v >> w.available, w.available | 56, w.next + (63 - w.available) / 8};
}

static inline window use(window w, unsigned bits)
{
    return (window){w.bits << bits, w.available - bits, w.next};
}

/* A symbol whose code is longer than the lookup; its length, or 0 when there is none. */
static int find_long(const table *t, uint64_t bits, int *symbol)
{
    uint32_t prefix = (uint32_t)(bits >> 48);
    for (int length = LOOKUP_BITS + 1; length <= 16; length++)
        if (prefix < t->limit[length]) {
            *symbol = t->source.huffval[(int32_t)(prefix >> (16 - length)) + t->offset[length]];
            return length;
        }
    return 0;
}

/* What the lookup did not complete: an entry of kind KIND_VALUE or KIND_END, 0 when there is no such code. */
static uint32_t complete(const table *t, uint64_t bits, uint32_t found)
{
    int symbol = (int)(found >> 8 & 15) << 4 | (int)(found >> 16), length = (int)(found & 255);
    if ((found >> 12 & 3) == KIND_LONG)
        length = find_long(t, bits, &symbol);
    int size = symbol & 15;
    if (length == 0)
        return 0;
    if (!t->dc && size == 0 && symbol != 0xf0)
        return entry(0, KIND_END, 0, length);
    int value = size == 0 ? 0 : extend((uint32_t)(bits << length >> (64 - size)), size);
    return entry(value, KIND_VALUE, symbol >> 4, length + size);
}

/* The entry for the next symbol, at least 32 bits being available: the longest code and the most additional bits
 * make 31. */
static inline uint32_t find(const table *t, uint64_t bits)
{
    uint32_t found = t->lookup[bits >> (64 - LOOKUP_BITS)];
    return found >> 12 & 1 ? found : complete(t, bits, found);
}

/* The AC coefficients of a block. False: no such code, or too many. */
static bool take_block(an_coef_scan *scan, const component *c, an_coef_packer *packer, uint64_t *map, uint32_t *weight)
{
    int8_t *values = packer ? an_coef_packer_values(packer) : scan->unused;
    window w = scan->window;
    uint64_t found_map = 0;
    uint32_t sum = 0, found = 0;
    for (unsigned k = 1; k < 64; k++) {
        w = refill(w);
        found = find(c->ac, w.bits);
        w = use(w, found & 255);
        if (found == 0 || (found >> 12 & 3) == KIND_END)
            break;
        int value = (int32_t)found >> 16, size = abs(value);
        k += found >> 8 & 15;
        if (k > 63)
            return false;
        if (value == 0) /* sixteen zeros */
            continue;
        found_map |= (uint64_t)1 << k;
        sum += (uint32_t)(size * c->quantisation[k]);
        if (size > 127 && packer)
            an_coef_packer_word(packer, value);
        *values++ = (int8_t)(size > 127 ? AN_COEF_WIDE : value);
    }
    scan->window = w;
    *map = found_map;
    *weight += sum;
    return found != 0;
}

static bool take_dc(an_coef_scan *scan, component *c)
{
    window w = refill(scan->window);
    uint32_t found = find(c->dc, w.bits);
    scan->window = use(w, found & 255);
    c->previous_dc = (int16_t)(c->previous_dc + ((int32_t)found >> 16));
    return found != 0;
}

/* Below zero when bits were used that are not there. */
static ptrdiff_t bits_left(const an_coef_scan *scan)
{
    return 8 * (scan->end - scan->window.next) + (ptrdiff_t)scan->window.available;
}

/* One block; packer is NULL for one that only fills up its MCU. */
static bool take_one(an_coef_scan *scan, component *c, an_coef_packer *packer)
{
    if (!take_dc(scan, c))
        return false;
    uint64_t map;
    uint32_t weight = (uint32_t)(abs(c->previous_dc) * c->quantisation[0]);
    if (!take_block(scan, c, packer, &map, &weight) || weight > AN_COEF_SAFE_WEIGHT || bits_left(scan) < 0)
        return false;
    if (packer)
        an_coef_packer_add(packer, (int16_t)c->previous_dc, map);
    return true;
}

static bool take_mcu(an_coef_scan *scan, uint32_t x, uint32_t mcu_row, an_coef_packer *packers)
{
    for (int i = 0; i < scan->count; i++) {
        component *c = &scan->components[i];
        for (uint32_t v = 0; v < c->v; v++, packers++)
            for (uint32_t h = 0; h < c->h; h++) {
                bool real = x * c->h + h < c->blocks_wide && mcu_row * c->v + v < c->blocks_high;
                if (!take_one(scan, c, real ? packers : NULL))
                    return false;
            }
    }
    return true;
}

bool an_coef_scan_mcu_row(an_coef_scan *scan, uint32_t mcu_row, an_coef_packer packers[AN_COEF_SCAN_PACKERS])
{
    for (uint32_t x = 0; x < scan->mcus_wide; x++)
        if (!take_mcu(scan, x, mcu_row, packers))
            return false;
    return true;
}

bool an_coef_scan_end(const an_coef_scan *scan)
{
    return bits_left(scan) < 8;
}
