#include "train/watch/filters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { COLUMNS = 12, TILE = 96, GAP = 4 }; /* TILE: pixels of a filter's side at most */

/* The largest magnitude of a filter, or INFINITY if it has a value that is not finite. */
static float largest(const float *weights, size_t count)
{
    float most = 1e-30f;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(weights[i]))
            return INFINITY;
        most = fmaxf(most, fabsf(weights[i]));
    }
    return most;
}

/* One row of a filter's pixels; each weight is scale of them wide. */
static void draw_row(const float *weights, int side, int y, int scale, float most, uint8_t *rgb)
{
    for (int x = 0; x < side * scale; x++)
        for (int c = 0; c < 3; c++)
            rgb[3 * x + c] = (uint8_t)lrintf(127.5f + 127.5f * weights[(c * side + y) * side + x / scale] / most);
}

int an_filter_sheet_draw(an_filter_sheet *out, const float *weights, int filters, int side)
{
    int columns = filters < COLUMNS ? filters : COLUMNS, scale = side < TILE ? TILE / side : 1;
    int tile = side * scale + GAP;
    size_t size = (size_t)side * (size_t)side * 3, line = (size_t)(columns * tile + GAP) * 3;
    int height = (filters + columns - 1) / columns * tile + GAP;
    *out = (an_filter_sheet){calloc((size_t)height, line), (uint32_t)(line / 3), (uint32_t)height};
    if (!out->rgb)
        return an_error(AN_ENOMEM, "out of memory for a picture of filters");
    memset(out->rgb, 0xff, (size_t)height * line);
    for (int i = 0; i < filters; i++) {
        float most = largest(weights + (size_t)i * size, size);
        if (isinf(most)) {
            free(out->rgb);
            *out = (an_filter_sheet){0};
            return AN_END;
        }
        uint8_t *corner = out->rgb + (size_t)(i / columns * tile + GAP) * line + (size_t)(i % columns * tile + GAP) * 3;
        for (int y = 0; y < side * scale; y++)
            draw_row(weights + (size_t)i * size, side, y / scale, scale, most, corner + (size_t)y * line);
    }
    return AN_OK;
}
