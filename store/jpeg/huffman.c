#include "store/jpeg/huffman_private.h"

#include <string.h>

#include "store/image/planes/blocks.h"

/* Impossible positions in a block say what has happened. A lookup adds to the position reached so far
 *
 *     END     at the end of the block: the position is then between END and END + 62,
 *     SLOW    when the code or its additional bits are too long for the lookup: the position is at least SLOW.
 *
 * A position between 64 and END means that an entry of two symbols ran over the end: only the first one belongs to this
 * block, or the file is damaged. */
enum { LAST = 63, END = 96, SLOW = 192 };
enum { DAMAGED = 255 };

/* For each zigzag position the row-major one. Impossible positions give 0, the place of the DC coefficient, which is
 * written last. */
static const uint8_t natural[SLOW + 64 + 4] = {AN_BLOCKS_ZIGZAG};

/* --- tables ---------------------------------------------------------------------------------------------------- */

/* The value of `size` additional bits: bits that begin with 0 stand for a negative value. */
static int extend(uint32_t bits, unsigned size)
{
    return size == 0 ? 0 : bits >> (size - 1) ? (int)bits : (int)bits - (1 << size) + 1;
}

static uint32_t entry(unsigned used, unsigned zeros, unsigned advance, int first, int last)
{
    return used | zeros << 6 | advance << 8 | (uint32_t)(uint8_t)first << 16 | (uint32_t)(uint8_t)last << 24;
}

static unsigned used_of(uint32_t e)
{
    return e & 63;
}

static unsigned advance_of(uint32_t e)
{
    return e >> 8 & 255;
}

/* The lookup entry for `bits`, which begin with a code of `length` bits for `symbol`. An entry that is SLOW holds
 * symbol and length in place of the values. */
static uint32_t ac_entry(uint32_t bits, unsigned length, unsigned symbol)
{
    unsigned size = symbol & 15, run = symbol >> 4, left = AN_HUFFMAN_AC_BITS - length;
    if (size == 0)
        return run == 15 ? entry(length, 0, 16, 0, 0) : entry(length, 0, END, 0, 0);
    if (size > left || size > 7)
        return entry(0, 0, SLOW, (int)symbol, (int)length);
    return entry(length + size, 0, run + 1, 0, extend(bits >> (left - size) & ((1u << size) - 1), size));
}

/* Call put for each prefix of `bits` bits that begins with a code, and fill in `codes`. False if source is no prefix
 * code, or uses the code of ones only, which JPEG forbids. */
static bool for_codes(an_huffman_codes *codes, const JHUFF_TBL *source, int bits,
                      void (*put)(void *table, uint32_t prefix, unsigned length, unsigned symbol), void *table)
{
    uint32_t code = 0, symbol = 0;
    for (int length = 1; length <= 16; length++, code <<= 1) {
        codes->offset[length] = (int32_t)symbol - (int32_t)code;
        if (code + source->bits[length] > 1u << length || symbol + source->bits[length] > 256)
            return false;
        for (int i = 0; i < source->bits[length]; i++, code++, symbol++) {
            uint32_t first = length <= bits ? code << (bits - length) : 0;
            for (uint32_t j = 0; length <= bits && j < 1u << (bits - length); j++)
                put(table, first + j, (unsigned)length, source->huffval[symbol]);
        }
        if (symbol > 0 && code == 1u << length)
            return false;
        codes->limit[length] = code << (16 - length);
    }
    codes->source = *source;
    return true;
}

static bool is_made(const an_huffman_codes *codes, const JHUFF_TBL *source)
{
    return codes->made && memcmp(codes->source.bits + 1, source->bits + 1, 16) == 0 &&
           memcmp(codes->source.huffval, source->huffval, sizeof source->huffval) == 0;
}

static void put_ac(void *table, uint32_t prefix, unsigned length, unsigned symbol)
{
    ((uint32_t *)table)[prefix] = ac_entry(prefix, length, symbol);
}

/* The entry for two symbols, or one and the end of the block, where both fit; otherwise the first one's. */
static uint32_t pair(const uint32_t *single, uint32_t prefix)
{
    uint32_t a = single[prefix], b = single[(prefix << used_of(a)) & ((1u << AN_HUFFMAN_AC_BITS) - 1)];
    if (advance_of(a) > 4 || advance_of(b) == SLOW || used_of(a) + used_of(b) > AN_HUFFMAN_AC_BITS)
        return a;
    return entry(used_of(a) + used_of(b), advance_of(a) - 1, advance_of(a) + advance_of(b), (int)(a >> 24),
                 (int)(b >> 24));
}

bool an_huffman_ac_set(an_huffman_ac *table, const JHUFF_TBL *source)
{
    uint32_t single[1 << AN_HUFFMAN_AC_BITS];
    if (is_made(&table->codes, source))
        return true;
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        single[i] = entry(0, 0, SLOW, 0, 0);
    table->codes.made = for_codes(&table->codes, source, AN_HUFFMAN_AC_BITS, put_ac, single);
    for (uint32_t i = 0; i < sizeof single / sizeof *single; i++)
        table->lookup[i] = pair(single, i);
    return table->codes.made;
}

static void put_dc(void *table, uint32_t prefix, unsigned length, unsigned symbol)
{
    ((uint16_t *)table)[prefix] = (uint16_t)((length + symbol) | symbol << 8);
}

bool an_huffman_dc_set(an_huffman_dc *table, const JHUFF_TBL *source)
{
    int symbols = 0;
    if (is_made(&table->codes, source))
        return true;
    for (int length = 1; length <= 16; length++)
        symbols += source->bits[length];
    for (int i = 0; i < symbols && i < 256; i++)
        if (source->huffval[i] > 15)
            return table->codes.made = false;
    memset(table->lookup, 0, sizeof table->lookup);
    table->codes.made = for_codes(&table->codes, source, AN_HUFFMAN_DC_BITS, put_dc, table->lookup);
    return table->codes.made;
}

/* The length of the code that the bits begin with, 0 when there is none; *symbol becomes its symbol. */
static unsigned find(const an_huffman_codes *codes, uint64_t bits, unsigned *symbol)
{
    uint32_t prefix = (uint32_t)(bits >> 48);
    for (int length = 1; length <= 16; length++)
        if (prefix < codes->limit[length]) {
            *symbol = codes->source.huffval[(int32_t)(prefix >> (16 - length)) + codes->offset[length]];
            return (unsigned)length;
        }
    return 0;
}

/* --- stream ---------------------------------------------------------------------------------------------------- */

static inline uint64_t load(const uint8_t *bytes)
{
    uint64_t v;
    memcpy(&v, bytes, sizeof v);
    return __builtin_bswap64(v);
}

/* Fill up to at least 56 bits. Whether that is necessary cannot be predicted, so it is done without asking. */
static inline an_huffman_window refill(an_huffman_window w)
{
    return (an_huffman_window){w.bits | load(w.next) >> w.available, w.available | 56, w.next + (63 - w.available) / 8};
}

static inline an_huffman_window use(an_huffman_window w, unsigned bits)
{
    return (an_huffman_window){w.bits << bits, w.available - bits, w.next};
}

/* Undo the use of some bits. They are no longer in the register, so they are loaded again. */
static an_huffman_window give_back(an_huffman_window w, unsigned bits)
{
    unsigned available = w.available + bits, partial = (8 - available % 8) % 8;
    const uint8_t *from = w.next - (available + partial) / 8;
    return (an_huffman_window){load(from) << partial, 8 - partial, from + 1};
}

/* --- blocks ---------------------------------------------------------------------------------------------------- */

/* Decode one symbol behind position k without the lookup table, which always works. Returns the new position, END or
 * DAMAGED. */
static __attribute__((noinline)) unsigned take_slowly(const an_huffman_ac *table, an_huffman_window *window, unsigned k,
                                                      int16_t *block)
{
    unsigned symbol;
    an_huffman_window w = refill(*window);
    unsigned length = find(&table->codes, w.bits, &symbol), size = symbol & 15;
    if (length == 0)
        return DAMAGED;
    w = use(w, length);
    k += (symbol >> 4) + 1;
    if (size == 0 && symbol != 0xf0)
        k = END;
    else if (k > LAST)
        return DAMAGED;
    else if (size > 0) {
        block[natural[k]] = (int16_t)extend((uint32_t)(w.bits >> (64 - size)), size);
        w = use(w, size);
    }
    *window = w;
    return k;
}

/* One lookup. At least AN_HUFFMAN_AC_BITS must be available. Both values are written even where the entry has one value
 * or none: then to a place that is written again later. */
static inline uint32_t take(const an_huffman_ac *table, an_huffman_window *w, unsigned *k, int16_t *block)
{
    uint32_t e = table->lookup[w->bits >> (64 - AN_HUFFMAN_AC_BITS)];
    *w = use(*w, used_of(e));
    block[natural[*k + 1 + (e >> 6 & 3)]] = (int8_t)(e >> 16);
    *k += advance_of(e);
    block[natural[*k]] = (int16_t)((int32_t)e >> 24);
    return e;
}

/* Decode a symbol whose code was found by the lookup, but whose additional bits did not fit: the most frequent
 * of the slow cases. */
static inline unsigned take_large(uint32_t e, an_huffman_window *window, unsigned k, int16_t *block)
{
    unsigned length = e >> 24, size = e >> 16 & 15;
    an_huffman_window w = refill(*window);
    block[natural[k + 1]] = 0; /* take wrote there */
    k += (e >> 20 & 15) + 1;
    w = use(w, length);
    block[natural[k]] = (int16_t)((int)(w.bits >> (64 - size)) - ((int64_t)w.bits < 0 ? 0 : (1 << size) - 1));
    *window = use(w, size);
    return k;
}

static inline bool take_ac(const an_huffman_ac *table, an_huffman_window *window, int16_t *block)
{
    an_huffman_window w = *window;
    unsigned k = 0;
    for (;;) {
        uint32_t e;
        w = refill(w);
        e = take(table, &w, &k, block);
        if (k < LAST)
            e = take(table, &w, &k, block);
        if (k < LAST)
            e = take(table, &w, &k, block);
        if (k < LAST)
            e = take(table, &w, &k, block);
        if (k < LAST)
            continue;
        if (k == LAST || (k >= END && k < END + LAST))
            break;
        k -= advance_of(e);
        if (advance_of(e) == SLOW && e >> 24) {
            k = take_large(e, &w, k, block);
        } else {
            block[natural[k + 1]] = 0;
            an_huffman_window before = give_back(w, used_of(e));
            k = take_slowly(table, &before, k, block);
            w = before;
        }
        if (k >= LAST)
            break;
    }
    *window = w;
    return k == LAST || (k >= END && k < DAMAGED);
}

static inline bool take_dc(const an_huffman_dc *table, an_huffman_window *window, int *dc)
{
    an_huffman_window w = refill(*window);
    unsigned e = table->lookup[w.bits >> (64 - AN_HUFFMAN_DC_BITS)], used = e & 255, size = e >> 8;
    if (__builtin_expect(used == 0, 0)) {
        unsigned length = find(&table->codes, w.bits, &size);
        if (length == 0)
            return false;
        used = length + size;
    }
    w = use(w, used - size);
    *dc += (int)(w.bits >> 1 >> (63 - size)) - (int)(~(uint64_t)((int64_t)w.bits >> 63) & ((1u << size) - 1));
    *window = use(w, size);
    return *dc > INT16_MIN && *dc <= INT16_MAX;
}

bool an_huffman_block(const an_huffman_dc *dc_table, const an_huffman_ac *ac_table, an_huffman_window *window, int *dc,
                      int16_t block[64])
{
    if (!take_dc(dc_table, window, dc) || !take_ac(ac_table, window, block))
        return false;
    block[0] = (int16_t)*dc;
    return true;
}
