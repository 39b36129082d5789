/* The paper's Figure 2, drawn from a graph: what is in the graph is in the picture, and nothing else. */
#ifndef AN_TOOLS_SHOW_VIEWS_NETWORK_DRAW_H
#define AN_TOOLS_SHOW_VIEWS_NETWORK_DRAW_H

#include "model/graph/graph.h"
#include "tools/show/canvas/canvas.h"

/* The caller frees. A layer of a kind that is not in the table of kinds is AN_EINVAL naming it. */
int an_network_draw(an_canvas **out, an_canvas_kind kind, const an_graph *graph, const char *title);

#endif
