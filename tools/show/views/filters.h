/* The paper's Figure 3: the kernels of a first layer as small pictures. */
#ifndef AN_TOOLS_SHOW_VIEWS_FILTERS_H
#define AN_TOOLS_SHOW_VIEWS_FILTERS_H

#include "tools/show/canvas/canvas.h"
#include "train/trained/trained.h"

typedef struct {
    float *values; /* count x 3 x side x side */
    int count, side;
    int split; /* kernels of the first device; count if there is one device */
} an_filters;

/* Read the kernels from a run's best checkpoint, or from a file of weights that has a tensor "conv1.weight". */
int an_filters_load(an_filters *out, const an_trained_source *source);
void an_filters_free(an_filters *filters); /* zeroed is fine */

/* Draw the kernels with zero as middle grey. together: one scale for all, so that weak kernels look weak; otherwise
 * each kernel uses the whole range. The caller frees the canvas. */
int an_filters_draw(an_canvas **out, an_canvas_kind kind, const an_filters *filters, bool together);

#endif
