/* What layers cost, and what follows them, as a table below the drawing. */
#include <stdio.h>

#include "tools/show/views/network_private.h"

static void count_write(double value, const char *unit, char *out, size_t size)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    int i = 0;
    while (value >= 1000 && i < 4) {
        value /= 1000;
        i++;
    }
    snprintf(out, size,
             value < 10 && i    ? "%.2f %s%s"
             : value < 100 && i ? "%.1f %s%s"
                                : "%.0f %s%s",
             value, prefixes[i], unit);
}

typedef struct {
    double parameters, flop, outputs; /* of one image */
} cost;

static cost column_cost(const an_network_picture *p, int at)
{
    cost sum = {0};
    for (int i = 0; i < p->graph->count; i++) {
        const an_node *node = &p->graph->nodes[i];
        if (p->column_of[i] != at)
            continue;
        sum.parameters += (double)an_graph_node_parameters(p->graph, node);
        sum.flop += an_graph_node_flop(p->graph, node);
        sum.outputs += (double)node->channels * node->height * node->width;
    }
    return sum;
}

/* Zeros around the image: on all sides, or left and top, right and bottom. */
static void padding_write(const an_node *node, char *out, size_t size)
{
    *out = '\0';
    if (an_network_figure(node) != AN_FIGURE_PLANES)
        return;
    if (node->pad_before == node->pad_after && node->pad_before == 0)
        snprintf(out, size, "none");
    else if (node->pad_before == node->pad_after)
        snprintf(out, size, "%d", node->pad_before);
    else
        snprintf(out, size, "%d; right and below %d", node->pad_before, node->pad_after);
}

/* A column of the table: of both devices together, parameters, FLOP forward, bytes of outputs in fp32. */
static void column_write(const an_network_picture *p, int at, char text[AN_NETWORK_TABLE_ROWS][48])
{
    cost sum = column_cost(p, at);
    padding_write(p->columns[at].nodes[0], text[0], sizeof(text[0]));
    count_write(sum.parameters, "", text[1], sizeof(text[1]));
    count_write(sum.flop, "FLOP", text[2], sizeof(text[2]));
    count_write(4 * sum.outputs, "B", text[3], sizeof(text[3]));
    if (sum.parameters == 0)
        text[1][0] = text[2][0] = '\0';
}

void an_network_table_draw(const an_network_picture *p, double y, int notes)
{
    static const char *const names[AN_NETWORK_TABLE_ROWS] = {"padding", "parameters", "forward", "outputs"};
    const an_text_style left = {AN_NETWORK_MARGIN, y,    AN_NETWORK_LABELS - 6, 10.5, AN_ALIGN_LEFT,
                                AN_COLOUR_MUTED,   false};
    double below = y + AN_NETWORK_ROW * (notes + 1);
    an_canvas_text(p->canvas, names[0], &left);
    if (notes)
        an_canvas_text(
            p->canvas, "after it",
            &(an_text_style){left.x, y + AN_NETWORK_ROW, left.room, left.size, left.align, left.colour, false});
    for (int i = 1; i < AN_NETWORK_TABLE_ROWS; i++)
        an_canvas_text(p->canvas, names[i],
                       &(an_text_style){left.x, below + AN_NETWORK_ROW * (i - 1), left.room, left.size, left.align,
                                        left.colour, false});
    for (int at = 0; at < p->count; at++) {
        char text[AN_NETWORK_TABLE_ROWS][48];
        double x = AN_NETWORK_MARGIN + AN_NETWORK_LABELS + AN_NETWORK_COLUMN * (at + 0.5);
        column_write(p, at, text);
        an_network_label(p, x, y, 10.5, AN_COLOUR_INK, false, text[0]);
        for (int i = 0; i < p->columns[at].note_count; i++)
            an_network_label(p, x, y + AN_NETWORK_ROW * (i + 1), 10.5, AN_COLOUR_INK, false, p->columns[at].notes[i]);
        for (int i = 1; i < AN_NETWORK_TABLE_ROWS; i++)
            an_network_label(p, x, below + AN_NETWORK_ROW * (i - 1), 10.5, AN_COLOUR_INK, false, text[i]);
    }
}

void an_network_title_draw(const an_network_picture *p, double width, const char *title)
{
    char parameters[32], flop[32], weights[32], text[160];
    count_write((double)an_graph_parameters(p->graph), "", parameters, sizeof(parameters));
    count_write(an_graph_flop(p->graph), "FLOP", flop, sizeof(flop));
    count_write(4 * (double)an_graph_parameters(p->graph), "B", weights, sizeof(weights));
    snprintf(text, sizeof(text), "%s parameters (%s in fp32), %s forward for an image of %d \u00d7 %d, %d classes",
             parameters, weights, flop, p->graph->input_side, p->graph->input_side, p->graph->classes);
    an_canvas_text(
        p->canvas, title,
        &(an_text_style){AN_NETWORK_MARGIN, 32, width - 2 * AN_NETWORK_MARGIN, 17, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    an_canvas_text(p->canvas, text,
                   &(an_text_style){AN_NETWORK_MARGIN, 52, width - 2 * AN_NETWORK_MARGIN, 11.5, AN_ALIGN_LEFT,
                                    AN_COLOUR_MUTED, false});
}
