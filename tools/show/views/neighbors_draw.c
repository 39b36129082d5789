#include "tools/show/views/neighbors_draw.h"

#include <stdio.h>

#include "base/error.h"
#include "tools/show/content/subjects.h"

#define CELL 104.0
#define GAP 12.0
#define APART 22.0 /* between a query and its neighbours */
#define CAPTION 32.0
#define MARGIN 24.0
#define TOP 88.0

typedef struct {
    an_canvas *canvas;
    an_decoder *decoder;
    an_image image;
    const an_neighbors_panel *panel;
} artist;

static void caption(artist *a, double x, double y, const char *text, an_colour colour, bool bold)
{
    an_canvas_text(a->canvas, text, &(an_text_style){x + CELL / 2, y, CELL, 10, AN_ALIGN_CENTRE, colour, bold});
}

static int cell_draw(artist *a, const an_dataset *dataset, uint64_t index, double x, double y, an_colour colour,
                     bool bold)
{
    int rc = an_subject_record(dataset, a->decoder, index, &a->image);
    if (rc < 0)
        return rc;
    an_canvas_image(a->canvas, &a->image, x, y, CELL, CELL, false);
    caption(a, x, y + CELL + 13, an_dataset_class(dataset, an_dataset_index(dataset)[index].label)->name, colour, bold);
    return AN_OK;
}

static int row_draw(artist *a, uint32_t q)
{
    const an_neighbors_panel *p = a->panel;
    double y = TOP + (CELL + CAPTION + GAP) * q;
    uint32_t label = an_dataset_index(p->queries)[p->indices[q]].label;
    int rc = cell_draw(a, p->queries, p->indices[q], MARGIN, y, AN_COLOUR_INK, true);
    for (uint32_t i = 0; !rc && i < p->nearest; i++) {
        const an_neighbor *n = &p->neighbors[(size_t)q * p->nearest + i];
        bool same = an_dataset_index(p->training)[n->index].label == label;
        double x = MARGIN + CELL + APART + (CELL + GAP) * i;
        char text[32];
        rc = cell_draw(a, p->training, n->index, x, y, same ? an_palette_series(2) : an_palette_series(4), false);
        snprintf(text, sizeof(text), "%#.3g", n->distance);
        caption(a, x, y + CELL + 26, text, AN_COLOUR_MUTED, false);
    }
    return rc;
}

static void headings_draw(artist *a, double width)
{
    an_canvas_text(a->canvas, "Nearest training images in the last hidden layer",
                   &(an_text_style){MARGIN, 32, width - 2 * MARGIN, 15, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    an_canvas_text(a->canvas, "below: class (green: the query's, red: another) and Euclidean distance",
                   &(an_text_style){MARGIN, 50, width - 2 * MARGIN, 10.5, AN_ALIGN_LEFT, AN_COLOUR_MUTED, false});
    an_canvas_text(a->canvas, "query", &(an_text_style){MARGIN, TOP - 9, CELL, 11, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    an_canvas_text(a->canvas, "nearest first",
                   &(an_text_style){MARGIN + CELL + APART, TOP - 9, 0, 11, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
}

int an_neighbors_draw(an_canvas **out, an_canvas_kind kind, const an_neighbors_panel *panel)
{
    artist a = {.panel = panel};
    double width = 2 * MARGIN + CELL + APART + panel->nearest * (CELL + GAP) - GAP;
    if (width < 420)
        width = 420;
    int rc = an_decoder_create(&a.decoder);
    if (!rc)
        rc = an_canvas_create(&a.canvas, kind, width, TOP + panel->count * (CELL + CAPTION + GAP) + MARGIN - GAP,
                              "Nearest training images");
    if (!rc)
        headings_draw(&a, width);
    for (uint32_t q = 0; !rc && q < panel->count; q++)
        rc = row_draw(&a, q);
    an_decoder_free(a.decoder);
    an_image_free(&a.image);
    if (rc < 0)
        an_canvas_free(a.canvas);
    else
        *out = a.canvas;
    return rc;
}
