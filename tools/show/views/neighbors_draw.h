/* The right panel of the paper's Figure 4: a query in the first column, the nearest training images beside it. */
#ifndef AN_TOOLS_SHOW_VIEWS_NEIGHBORS_DRAW_H
#define AN_TOOLS_SHOW_VIEWS_NEIGHBORS_DRAW_H

#include "tools/show/canvas/canvas.h"
#include "tools/show/content/nearest.h"

typedef struct {
    const an_dataset *queries, *training;
    const uint64_t *indices;      /* records of queries, count */
    const an_neighbor *neighbors; /* count x nearest, records of training */
    uint32_t count, nearest;
} an_neighbors_panel;

/* The caller frees. */
int an_neighbors_draw(an_canvas **out, an_canvas_kind kind, const an_neighbors_panel *panel);

#endif
