/* The names of lines: entries side by side, in as many rows as they need. Texts are the caller's and are not kept. */
#ifndef AN_TOOLS_SHOW_CANVAS_LEGEND_H
#define AN_TOOLS_SHOW_CANVAS_LEGEND_H

#include "tools/show/canvas/mark.h"

typedef struct {
    const char *name; /* shortened only if it is wider than a whole row */
    an_stroke stroke;
    bool dotted; /* with a mark in the middle */
    an_mark mark;
} an_legend_entry;

/* canvas only measures. 0 without entries. */
double an_legend_height(an_canvas *canvas, const an_legend_entry *entries, int count, double width);
void an_legend_draw(an_canvas *canvas, const an_legend_entry *entries, int count, double x, double y, double width);

#endif
