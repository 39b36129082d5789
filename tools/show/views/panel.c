#include <math.h>
#include <stdio.h>

#include "tools/show/views/predict.h"

#define CELL 176.0
#define PICTURE 132.0
#define GAP 22.0
#define MARGIN 24.0
#define TOP 74.0
#define BAR 17.0
#define PERCENT 38.0

static double cell_height(const an_viewer *viewer)
{
    return PICTURE + 24 + BAR * (viewer->classes < AN_PREDICTION_TOP ? viewer->classes : AN_PREDICTION_TOP) + 6;
}

static void bar_draw(an_canvas *c, const an_viewer *v, const an_subject *s, uint32_t i, double x, double y)
{
    char percent[16];
    double share = (double)s->said.probability[i];
    bool right = (int)s->said.top[i] == s->label;
    an_canvas_rectangle(c, x, y, CELL, BAR - 3, AN_COLOUR_PANEL);
    an_canvas_rectangle(c, x, y, fmax(1, CELL * share), BAR - 3, right ? AN_COLOUR_RIGHT : AN_COLOUR_WRONG);
    snprintf(percent, sizeof(percent), "%.1f %%", 100 * share);
    an_canvas_text(c, v->names[s->said.top[i]],
                   &(an_text_style){x + 5, y + 11, CELL - PERCENT - 12, 10, AN_ALIGN_LEFT, AN_COLOUR_INK, right});
    an_canvas_text(c, percent, &(an_text_style){x + CELL - 4, y + 11, 0, 9.5, AN_ALIGN_RIGHT, AN_COLOUR_INK, false});
}

static void cell_draw(an_canvas *c, const an_viewer *v, const an_subject *s, double x, double y)
{
    const char *base = s->name;
    for (const char *at = s->name; *at; at++)
        base = *at == '/' && at[1] ? at + 1 : base;
    an_canvas_image(c, &s->image, x + (CELL - PICTURE) / 2, y, PICTURE, PICTURE, false);
    an_canvas_text(c, s->label < 0 ? base : v->names[s->label],
                   &(an_text_style){x + CELL / 2, y + PICTURE + 16, CELL, 12, AN_ALIGN_CENTRE,
                                    s->label < 0 ? AN_COLOUR_MUTED : AN_COLOUR_INK, s->label >= 0});
    for (uint32_t i = 0; i < s->said.count; i++)
        bar_draw(c, v, s, i, x, y + PICTURE + 24 + BAR * i);
}

static void legend_draw(an_canvas *c, double width)
{
    static const char *const texts[] = {"true class", "other class"};
    static const an_colour colours[] = {AN_COLOUR_RIGHT, AN_COLOUR_WRONG};
    double x = MARGIN;
    for (int i = 0; i < 2; i++) {
        an_canvas_rectangle(c, x, 44, 12, 10, colours[i]);
        an_canvas_text(c, texts[i],
                       &(an_text_style){x + 17, 53, width - x, 10.5, AN_ALIGN_LEFT, AN_COLOUR_MUTED, false});
        x += 17 + an_canvas_text_width(c, texts[i], 10.5, false) + 18;
    }
}

int an_panel_draw(an_canvas **out, an_canvas_kind kind, const an_viewer *viewer, const an_subject *subjects, int count,
                  int columns)
{
    an_canvas *c = NULL;
    columns = columns < count ? columns : count;
    int rows = (count + columns - 1) / columns;
    double width = 2 * MARGIN + columns * (CELL + GAP) - GAP,
           height = TOP + rows * (cell_height(viewer) + GAP) - GAP + MARGIN;
    int rc = an_canvas_create(&c, kind, width, height, "What the network sees in images");
    if (rc < 0)
        return rc;
    an_canvas_text(c, "The most probable classes",
                   &(an_text_style){MARGIN, 30, width - 2 * MARGIN, 15, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    legend_draw(c, width);
    for (int i = 0; i < count; i++)
        cell_draw(c, viewer, &subjects[i], MARGIN + (CELL + GAP) * (i % columns),
                  TOP + (cell_height(viewer) + GAP) * (i / columns));
    *out = c;
    return AN_OK;
}
