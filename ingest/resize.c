#include "ingest/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "ingest/resize_kernels.h"

/* The taps of one axis: output i is the sum over t of weights[i * taps + t] times input starts[i] + t. Weights beyond
 * the input are zero. Kept between images, because most collections repeat a few sizes. */
typedef struct {
    uint32_t input, square, output; /* what the table was made for */
    an_filter filter;
    uint32_t taps;    /* even */
    uint32_t *starts; /* output */
    int16_t *weights; /* output x taps */
    double *scratch;  /* taps */
} taps_table;

struct an_resizer {
    const an_resize_kernels *kernels;
    taps_table across, down;
    int16_t *row;
    size_t row_capacity;
    const uint8_t **rows;
    size_t rows_capacity;
};

static double sinc(double x)
{
    return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x);
}

static double filter_support(an_filter filter)
{
    return filter == AN_FILTER_BOX ? 0.5 : filter == AN_FILTER_LANCZOS3 ? 3 : 1;
}

uint32_t an_filter_reach(an_filter filter)
{
    return (uint32_t)ceil(filter_support(filter));
}

static double filter_value(an_filter filter, double x)
{
    switch (filter) {
    case AN_FILTER_BOX:
        return x > -0.5 && x <= 0.5;
    case AN_FILTER_LANCZOS3:
        return fabs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
    case AN_FILTER_TRIANGLE:
        break;
    }
    return fabs(x) < 1 ? 1 - fabs(x) : 0;
}

static void taps_free(taps_table *table)
{
    free(table->starts);
    free(table->weights);
    free(table->scratch);
    memset(table, 0, sizeof(*table));
}

/* Round to 14 bits and give what rounding lost or gained to the largest weight, so that flat areas stay flat. */
static void quantise(const double *values, uint32_t n, double total, int16_t *out)
{
    int32_t left = 1 << AN_RESIZE_WEIGHT_BITS;
    uint32_t largest = 0;
    for (uint32_t t = 0; t < n; t++) {
        out[t] = (int16_t)lrint(values[t] / total * (1 << AN_RESIZE_WEIGHT_BITS));
        left -= out[t];
        if (out[t] > out[largest])
            largest = t;
    }
    out[largest] = (int16_t)(out[largest] + left);
}

static double stretch_of(const taps_table *table)
{
    return table->square > table->output ? (double)table->square / table->output : 1;
}

/* Where output i lies in the input. */
static double centre_of(const taps_table *table, uint32_t i)
{
    return (table->input - table->square) / 2.0 + (i + 0.5) * table->square / table->output;
}

/* The inputs first .. end - 1 that output i is made of. */
static void span_of(const taps_table *table, uint32_t i, uint32_t *first, uint32_t *end)
{
    double centre = centre_of(table, i), support = filter_support(table->filter) * stretch_of(table);
    double low = floor(centre - support + 0.5), high = floor(centre + support + 0.5);
    *first = low < 0 ? 0 : low >= table->input ? table->input - 1 : (uint32_t)low;
    *end = high > table->input ? table->input : high <= *first ? *first + 1 : (uint32_t)high;
}

static void taps_fill(taps_table *table, uint32_t i)
{
    uint32_t first, end;
    double total = 0;
    span_of(table, i, &first, &end);
    for (uint32_t t = 0; t < end - first; t++) {
        table->scratch[t] = filter_value(table->filter, (first + t + 0.5 - centre_of(table, i)) / stretch_of(table));
        total += table->scratch[t];
    }
    if (total == 0)
        table->scratch[0] = total = 1;
    table->starts[i] = first;
    quantise(table->scratch, end - first, total, table->weights + (size_t)i * table->taps);
}

static int taps_allocate(taps_table *table)
{
    uint32_t longest = 0, first, end;
    for (uint32_t i = 0; i < table->output; i++) {
        span_of(table, i, &first, &end);
        longest = end - first > longest ? end - first : longest;
    }
    table->taps = longest + longest % 2;
    table->starts = malloc(table->output * sizeof(*table->starts));
    table->weights = calloc((size_t)table->output * table->taps, sizeof(*table->weights));
    table->scratch = malloc(table->taps * sizeof(*table->scratch));
    if (table->starts && table->weights && table->scratch)
        return AN_OK;
    taps_free(table);
    return an_error(AN_ENOMEM, "out of memory for resize weights");
}

/* Taps for the centred span `square` of an axis of `input` pixels, scaled to `output`. */
static int taps_prepare(taps_table *table, uint32_t input, uint32_t square, uint32_t output, an_filter filter)
{
    if (table->starts && table->input == input && table->square == square && table->output == output &&
        table->filter == filter)
        return AN_OK;
    taps_free(table);
    table->input = input;
    table->square = square;
    table->output = output;
    table->filter = filter;
    int error = taps_allocate(table);
    for (uint32_t i = 0; i < output && !error; i++)
        taps_fill(table, i);
    return error;
}

int an_resizer_create(an_resizer **out)
{
    an_resizer *resizer = calloc(1, sizeof(*resizer));
    if (!resizer)
        return an_error(AN_ENOMEM, "out of memory for a resizer");
    resizer->kernels = an_resize_kernels_for(an_cpu_simd());
    *out = resizer;
    return AN_OK;
}

void an_resizer_free(an_resizer *resizer)
{
    if (!resizer)
        return;
    taps_free(&resizer->across);
    taps_free(&resizer->down);
    free(resizer->row);
    free(resizer->rows);
    free(resizer);
}

/* Room for one filtered row: the columns in use, their taps' overhang, and the two pixels that the kernels may read. */
static int scratch_reserve(an_resizer *resizer, size_t columns)
{
    size_t need = 3 * (columns + resizer->across.taps + 2);
    if (need > resizer->row_capacity) {
        free(resizer->row);
        resizer->row_capacity = 0;
        resizer->row = calloc(need, sizeof(*resizer->row));
        if (!resizer->row)
            return an_error(AN_ENOMEM, "out of memory for a resized row");
        resizer->row_capacity = need;
    }
    if (resizer->down.taps > resizer->rows_capacity) {
        free(resizer->rows);
        resizer->rows_capacity = 0;
        resizer->rows = malloc(resizer->down.taps * sizeof(*resizer->rows));
        if (!resizer->rows)
            return an_error(AN_ENOMEM, "out of memory for resized rows");
        resizer->rows_capacity = resizer->down.taps;
    }
    return AN_OK;
}

static void resize_rows(an_resizer *resizer, const an_image *in, an_image *out)
{
    const taps_table *down = &resizer->down, *across = &resizer->across;
    for (uint32_t y = 0; y < out->height; y++) {
        for (uint32_t t = 0; t < down->taps; t++) {
            uint32_t row = down->starts[y] + t; /* beyond the last row the weight is zero */
            resizer->rows[t] = in->pixels + (size_t)3 * in->width * (row < in->height ? row : in->height - 1);
        }
        uint32_t first = across->starts[0], last = across->starts[out->width - 1] + across->taps;
        last = last < in->width ? last : in->width;
        for (uint32_t t = 0; t < down->taps; t++)
            resizer->rows[t] += (size_t)3 * first;
        resizer->kernels->vertical(resizer->rows, down->weights + (size_t)y * down->taps, down->taps,
                                   (size_t)3 * (last - first), resizer->row + (size_t)3 * first);
        resizer->kernels->horizontal(resizer->row, across->starts, across->weights, across->taps, out->width,
                                     out->pixels + (size_t)3 * out->width * y);
    }
}

int an_resizer_square(an_resizer *resizer, const an_image *in, uint32_t side, an_filter filter, an_image *out)
{
    int error = an_image_set_size(out, side, side);
    if (error)
        return error;
    if (in->width == side && in->height == side) {
        memcpy(out->pixels, in->pixels, (size_t)3 * side * side);
        return AN_OK;
    }
    uint32_t square = in->width < in->height ? in->width : in->height;
    if ((error = taps_prepare(&resizer->across, in->width, square, side, filter)) ||
        (error = taps_prepare(&resizer->down, in->height, square, side, filter)) ||
        (error = scratch_reserve(resizer, in->width)))
        return error;
    resize_rows(resizer, in, out);
    return AN_OK;
}
