#include "store/image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "store/image/resize_kernels_private.h"

#define ROW_ALIGNMENT 32 /* elements: a cache line */

/* The weights (taps) along one axis; those of pixels beyond the input are zero. Kept from image to image, because most
 * collections repeat a few sizes. */
typedef struct {
    uint32_t input, square; /* what the table was made for, together with axis.output */
    an_filter filter;
    an_resize_axis axis;
    uint32_t output_capacity, taps_capacity;
    double *scratch; /* taps */
} taps_table;

struct an_resizer {
    const an_resize_kernels *kernels;
    taps_table across, down;
    int16_t *row;
    size_t row_capacity;
    const uint8_t **rows;
    size_t rows_capacity;
    uint8_t *out; /* one row, for an_resizer_rows */
    size_t out_capacity;
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
    free(table->axis.starts);
    free(table->axis.weights);
    free(table->axis.lanes);
    free(table->scratch);
    memset(table, 0, sizeof(*table));
}

/* Round the weights to 14 bits. What rounding loses or gains goes to the largest one, so that they add up to 1 and flat
 * areas stay flat. */
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
    return table->square > table->axis.output ? (double)table->square / table->axis.output : 1;
}

/* Where output i lies in the input. */
static double centre_of(const taps_table *table, uint32_t i)
{
    return (table->input - table->square) / 2.0 + (i + 0.5) * table->square / table->axis.output;
}

static uint32_t taps_count(const taps_table *table)
{
    uint32_t taps = (uint32_t)ceil(2 * filter_support(table->filter) * stretch_of(table));
    return taps + taps % 2;
}

/* The input pixels [first, end) that make up the output pixel with this centre. */
static void span_of(const taps_table *table, double centre, uint32_t *first, uint32_t *end)
{
    double reach = filter_support(table->filter) * stretch_of(table);
    double low = centre - reach + 0.5, high = centre + reach + 0.5;
    *first = low < 0 ? 0 : low >= table->input ? table->input - 1 : (uint32_t)low;
    *end = high > table->input ? table->input : (uint32_t)high;
    *end = *end <= *first ? *first + 1 : *end;
    *end = *end - *first > table->axis.taps ? *first + table->axis.taps
                                            : *end; /* rounding may give one more, which weighs 0 */
}

static void taps_fill(taps_table *table, uint32_t i)
{
    uint32_t first, end;
    double total = 0, centre = centre_of(table, i), stretch = stretch_of(table);
    span_of(table, centre, &first, &end);
    for (uint32_t t = 0; t < end - first; t++) {
        table->scratch[t] = filter_value(table->filter, (first + t + 0.5 - centre) / stretch);
        total += table->scratch[t];
    }
    if (total == 0)
        table->scratch[0] = total = 1;
    table->axis.starts[i] = first;
    quantise(table->scratch, end - first, total, table->axis.weights + (size_t)i * table->axis.taps);
}

static int taps_reserve(taps_table *table, const an_resize_kernels *kernels, uint32_t output, uint32_t taps)
{
    size_t lanes = kernels->lanes_size ? kernels->lanes_size(output, taps) : 0;
    if (output <= table->output_capacity && taps <= table->taps_capacity)
        return AN_OK;
    taps_free(table);
    table->axis.starts = malloc(output * sizeof(*table->axis.starts));
    table->axis.weights = malloc((size_t)output * taps * sizeof(*table->axis.weights));
    table->axis.lanes = lanes ? aligned_alloc(64, lanes * sizeof(*table->axis.lanes)) : NULL;
    table->scratch = malloc(taps * sizeof(*table->scratch));
    if (!table->axis.starts || !table->axis.weights || !table->scratch || (lanes && !table->axis.lanes)) {
        taps_free(table);
        return an_error(AN_ENOMEM, "out of memory for resize weights");
    }
    table->output_capacity = output;
    table->taps_capacity = taps;
    return AN_OK;
}

/* The table that scales the centred span of `square` pixels, of an axis of `input` pixels, to `output` pixels. */
static int taps_prepare(taps_table *table, const an_resize_kernels *kernels, uint32_t input, uint32_t square,
                        uint32_t output, an_filter filter)
{
    const taps_table wanted = {.square = square, .filter = filter, .axis.output = output};
    if (table->input == input && table->square == square && table->axis.output == output && table->filter == filter)
        return AN_OK;
    uint32_t taps = taps_count(&wanted);
    int rc = taps_reserve(table, kernels, output, taps);
    if (rc)
        return rc;
    table->input = input;
    table->square = square;
    table->filter = filter;
    table->axis.output = output;
    table->axis.taps = taps;
    memset(table->axis.weights, 0, (size_t)output * taps * sizeof(*table->axis.weights));
    for (uint32_t i = 0; i < output; i++)
        taps_fill(table, i);
    if (kernels->arrange)
        kernels->arrange(&table->axis);
    return AN_OK;
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
    free(resizer->out);
    free(resizer);
}

/* Make *at an array of at least `need` elements. A new one is zero; an old one that is large enough stays as it is. */
static int grow(void *at, size_t *capacity, size_t need, size_t size)
{
    void **array = at;
    size_t bytes = (need * size + 63) / 64 * 64;
    if (need <= *capacity)
        return AN_OK;
    free(*array);
    *capacity = 0;
    *array = aligned_alloc(64, bytes);
    if (!*array)
        return an_error(AN_ENOMEM, "out of memory for resized rows");
    memset(*array, 0, bytes);
    *capacity = need;
    return AN_OK;
}

/* Elements of a vertically filtered row of so many columns, including what kernels may read beyond its last tap. */
static size_t row_size(uint32_t columns, uint32_t taps)
{
    return ROW_ALIGNMENT + 3 * ((size_t)columns + taps) + AN_RESIZE_OVERHANG;
}

static int scratch_reserve(an_resizer *resizer, uint32_t columns, uint32_t across, uint32_t down)
{
    int rc = grow(&resizer->row, &resizer->row_capacity, row_size(columns, across), sizeof(*resizer->row));
    if (rc)
        return rc;
    return grow(&resizer->rows, &resizer->rows_capacity, down, sizeof(*resizer->rows));
}

static int span_prepare(an_resizer *resizer, const an_image *in, uint32_t square_width, uint32_t square_height,
                        uint32_t width, uint32_t height, an_filter filter)
{
    int rc = taps_prepare(&resizer->across, resizer->kernels, in->width, square_width, width, filter);
    if (rc)
        return rc;
    rc = taps_prepare(&resizer->down, resizer->kernels, in->height, square_height, height, filter);
    if (rc)
        return rc;
    return scratch_reserve(resizer, in->width, resizer->across.axis.taps, resizer->down.axis.taps);
}

static void resize_row(an_resizer *resizer, const an_image *in, uint32_t y, uint8_t *out)
{
    const an_resize_axis *down = &resizer->down.axis, *across = &resizer->across.axis;
    uint32_t first = across->starts[0], last = across->starts[across->output - 1] + across->taps;
    last = last < in->width ? last : in->width;
    for (uint32_t t = 0; t < down->taps; t++) {
        uint32_t row = down->starts[y] + t; /* beyond the last row the weight is zero */
        row = row < in->height ? row : in->height - 1;
        resizer->rows[t] = in->pixels + 3 * ((size_t)row * in->width + first);
    }
    size_t offset = (size_t)3 * first; /* chosen so that the first column in use is aligned */
    int16_t *columns = resizer->row + (ROW_ALIGNMENT - offset % ROW_ALIGNMENT) % ROW_ALIGNMENT;
    resizer->kernels->vertical(resizer->rows, down->weights + (size_t)y * down->taps, down->taps,
                               (size_t)3 * (last - first), columns + offset);
    resizer->kernels->horizontal(columns, across, out);
}

int an_resizer_square(an_resizer *resizer, const an_image *in, uint32_t side, an_filter filter, an_image *out)
{
    int rc = an_image_set_size(out, side, side);
    if (rc)
        return rc;
    if (in->width == side && in->height == side) {
        memcpy(out->pixels, in->pixels, (size_t)3 * side * side);
        return AN_OK;
    }
    uint32_t square = in->width < in->height ? in->width : in->height;
    rc = span_prepare(resizer, in, square, square, side, side, filter);
    if (rc)
        return rc;
    for (uint32_t y = 0; y < side; y++)
        resize_row(resizer, in, y, out->pixels + (size_t)3 * side * y);
    return AN_OK;
}

int an_resizer_rows(an_resizer *resizer, const an_image *in, uint32_t width, uint32_t height, an_filter filter,
                    void (*row)(void *context, uint32_t y, const uint8_t *rgb), void *context)
{
    int rc = span_prepare(resizer, in, in->width, in->height, width, height, filter);
    if (rc)
        return rc;
    rc = grow(&resizer->out, &resizer->out_capacity, (size_t)3 * width, 1);
    if (rc)
        return rc;
    for (uint32_t y = 0; y < height; y++) {
        resize_row(resizer, in, y, resizer->out);
        row(context, y, resizer->out);
    }
    return AN_OK;
}

int an_resizer_reserve(an_resizer *resizer, uint32_t side, uint32_t size, an_filter filter)
{
    const taps_table widest = {.square = side, .filter = filter, .axis.output = size};
    uint32_t taps = taps_count(&widest);
    int rc = taps_reserve(&resizer->across, resizer->kernels, size, taps);
    if (rc)
        return rc;
    rc = taps_reserve(&resizer->down, resizer->kernels, size, taps);
    if (rc)
        return rc;
    rc = scratch_reserve(resizer, side, taps, taps);
    if (rc)
        return rc;
    return grow(&resizer->out, &resizer->out_capacity, (size_t)3 * size, 1);
}
