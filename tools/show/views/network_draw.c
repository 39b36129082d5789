#include "tools/show/views/network_draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tools/show/views/network_private.h"

/* A body's front face and how far it reaches back. */
typedef struct {
    double x, y, width, height, depth;
} body;

an_figure an_network_figure(const an_node *node)
{
    return an_kind_find(node->kind)->figure;
}

static void note_add(an_network_column *c, const an_node *node)
{
    if (c->note_count == AN_NETWORK_NOTES_MAX || c->note_layer == node->layer)
        return;
    an_kind_find(node->kind)->note(node, c->notes[c->note_count++], sizeof(c->notes[0]));
    c->note_layer = node->layer;
}

/* The nonlinearity comes before all else that follows a layer. */
static void activation_note(an_network_column *c, const an_node *node)
{
    if (node->activation != AN_ACTIVATION_NONE)
        snprintf(c->notes[c->note_count++], sizeof(c->notes[0]), "%s", an_activation_name(node->activation));
}

static void place(an_network_picture *p, int number)
{
    const an_node *node = &p->graph->nodes[number];
    an_network_column *last = p->count ? &p->columns[p->count - 1] : NULL;
    int before = node->input_count ? p->column_of[node->inputs[0]] : 0;
    if (an_network_figure(node) == AN_FIGURE_NOTE) {
        p->column_of[number] = before;
        note_add(&p->columns[before], node);
        return;
    }
    const an_node *sibling = last ? last->nodes[0] : NULL;
    if (!sibling || sibling->layer != node->layer) {
        last = &p->columns[p->count++];
        activation_note(last, node);
    }
    last->nodes[node->device] = node;
    p->column_of[number] = p->count - 1;
    p->lanes = node->device + 1 > p->lanes ? node->device + 1 : p->lanes;
    p->largest_side = fmax(p->largest_side, node->height);
    if (an_network_figure(node) == AN_FIGURE_PLANES)
        p->most_channels = fmax(p->most_channels, node->channels);
    if (an_network_figure(node) == AN_FIGURE_UNITS)
        p->most_units = fmax(p->most_units, node->channels);
}

static body body_of(const an_network_picture *p, int at, const an_node *node)
{
    body b;
    if (an_network_figure(node) == AN_FIGURE_UNITS) {
        b.width = 9;
        b.height = 36 + 88 * sqrt(node->channels / p->most_units);
        b.depth = 7;
    } else {
        b.width = b.height = 24 + 60 * sqrt(node->height / p->largest_side);
        b.depth = an_network_figure(node) == AN_FIGURE_IMAGE ? 4 : 8 + 22 * sqrt(node->channels / p->most_channels);
    }
    bool shared = an_network_figure(node) == AN_FIGURE_IMAGE && p->lanes > 1; /* both devices see the image */
    double middle = AN_NETWORK_TOP + AN_NETWORK_LANE * (shared ? 1 : node->device + 0.5) +
                    (shared         ? -4
                     : node->device ? -18
                                    : 16);
    b.x = AN_NETWORK_MARGIN + AN_NETWORK_LABELS + AN_NETWORK_COLUMN * at +
          (AN_NETWORK_COLUMN - b.width - b.depth * 0.7) / 2 - 8;
    b.y = middle - b.height / 2 + b.depth * 0.2;
    return b;
}

static an_colour colour_of(const an_node *node)
{
    return an_network_figure(node) == AN_FIGURE_IMAGE ? AN_COLOUR_MUTED : AN_COLOUR_DEVICE(node->device);
}

static void body_draw(const an_network_picture *p, int at, const an_node *node)
{
    body b = body_of(p, at, node);
    double dx = b.depth * 0.7, dy = -b.depth * 0.45, right = b.x + b.width, bottom = b.y + b.height;
    an_colour colour = colour_of(node);
    const an_point outline[] = {
        {b.x, b.y},      {b.x + dx, b.y + dy}, {right + dx, b.y + dy}, {right + dx, bottom + dy},
        {right, bottom}, {b.x, bottom}};
    an_canvas_fill(p->canvas, outline, 6, AN_COLOUR_PAPER, 1);
    an_canvas_fill(p->canvas, (an_point[]){{b.x, b.y}, {right, b.y}, {right, bottom}, {b.x, bottom}}, 4, colour, 0.22);
    an_canvas_fill(p->canvas, (an_point[]){{b.x, b.y}, {b.x + dx, b.y + dy}, {right + dx, b.y + dy}, {right, b.y}}, 4,
                   colour, 0.12);
    an_canvas_fill(p->canvas,
                   (an_point[]){{right, b.y}, {right + dx, b.y + dy}, {right + dx, bottom + dy}, {right, bottom}}, 4,
                   colour, 0.40);
    an_canvas_frame(p->canvas, b.x, b.y, b.width, b.height, colour, 1);
    an_canvas_line(p->canvas, (an_point[]){{b.x, b.y}, outline[1], outline[2], {right, b.y}}, 4, colour, 1);
    an_canvas_line(p->canvas, (an_point[]){outline[2], outline[3], {right, bottom}}, 3, colour, 1);
}

/* The window that one output sees, on the face of what it looks at, with lines that meet in the output. */
static void window_draw(const an_network_picture *p, const body *from, const body *to, const an_node *node,
                        an_colour colour)
{
    const an_node *input = &p->graph->nodes[node->inputs[0]];
    double share = fmin(1, (double)node->kernel / input->height), side = share * from->width;
    bool down = to->y + to->height / 2 > from->y + from->height / 2 + AN_NETWORK_LANE / 4;
    bool up = to->y + to->height / 2 < from->y + from->height / 2 - AN_NETWORK_LANE / 4;
    double x = from->x + (from->width - side) * 0.72;
    double y = from->y + (from->height - side) * (down ? 0.88 : up ? 0.12 : 0.42);
    an_point tip = {to->x + to->width * 0.22, to->y + to->height * (down ? 0.25 : up ? 0.75 : 0.5)};
    an_canvas_frame(p->canvas, x, y, side, side, colour, 1);
    an_canvas_line(p->canvas, (an_point[]){{x + side, y}, tip, {x + side, y + side}}, 3, colour, 0.8);
    an_canvas_dot(p->canvas, tip.x, tip.y, 1.8, colour);
}

static void arrow_draw(const an_network_picture *p, const body *from, const body *to, an_colour colour)
{
    double half = fmin(from->height, to->height) * 0.32;
    double a = from->y + from->height / 2, b = to->y + to->height / 2;
    double shift = b > a + AN_NETWORK_LANE / 4 ? half : b < a - AN_NETWORK_LANE / 4 ? -half : 0;
    an_point start = {from->x + from->width + from->depth * 0.7, a + shift}, end = {to->x - 2, b - shift};
    double angle = atan2(end.y - start.y, end.x - start.x);
    an_canvas_line(p->canvas, (an_point[]){start, end}, 2, colour, 1.2);
    an_canvas_fill(p->canvas,
                   (an_point[]){end,
                                {end.x - 7 * cos(angle - 0.4), end.y - 7 * sin(angle - 0.4)},
                                {end.x - 7 * cos(angle + 0.4), end.y - 7 * sin(angle + 0.4)}},
                   3, colour, 1);
}

static void links_draw(const an_network_picture *p, int at, const an_node *node)
{
    body to = body_of(p, at, node);
    for (int i = 0; i < node->input_count; i++) {
        const an_node *input = &p->graph->nodes[node->inputs[i]];
        const an_network_column *source = &p->columns[p->column_of[node->inputs[i]]];
        const an_node *seen = source->nodes[input->device];
        body from = body_of(p, p->column_of[node->inputs[i]], seen);
        bool crosses = an_network_figure(seen) != AN_FIGURE_IMAGE && seen->device != node->device;
        an_colour colour = crosses ? AN_COLOUR_CROSSING : colour_of(node);
        if (an_network_figure(node) == AN_FIGURE_PLANES)
            window_draw(p, &from, &to, node, colour);
        else
            arrow_draw(p, &from, &to, colour);
    }
}

void an_network_label(const an_network_picture *p, double x, double y, double size, an_colour colour, bool bold,
                      const char *text)
{
    an_canvas_text(p->canvas, text, &(an_text_style){x, y, AN_NETWORK_COLUMN - 8, size, AN_ALIGN_CENTRE, colour, bold});
}

static void shape_draw(const an_network_picture *p, int at, const an_node *node)
{
    char text[64];
    body b = body_of(p, at, node);
    double x = b.x + (b.width + b.depth * 0.7) / 2, y = b.y + b.height + 17;
    if (p->lanes > 1 && node->device == 0 &&
        an_network_figure(node) != AN_FIGURE_IMAGE) /* lines to the other lane leave below */
        y = b.y - b.depth * 0.45 - (an_network_figure(node) == AN_FIGURE_PLANES ? 22 : 8);
    if (an_network_figure(node) == AN_FIGURE_UNITS)
        snprintf(text, sizeof(text), "%d", node->channels);
    else
        snprintf(text, sizeof(text), "%d \u00d7 %d \u00d7 %d", node->channels, node->height, node->width);
    an_network_label(p, x, y, 10.5, AN_COLOUR_INK, false, text);
    if (an_network_figure(node) != AN_FIGURE_PLANES)
        return;
    snprintf(text, sizeof(text), "%d\u00d7%d%s", node->kernel, node->kernel, node->stride > 1 ? ", stride " : "");
    if (node->stride > 1)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d", node->stride);
    an_network_label(p, x, y + 14, 9.5, AN_COLOUR_MUTED, false, text);
}

static bool crosses_anywhere(const an_graph *graph)
{
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].input_count; k++) {
            const an_node *input = &graph->nodes[graph->nodes[i].inputs[k]];
            if (an_network_figure(input) != AN_FIGURE_IMAGE && input->device != graph->nodes[i].device)
                return true;
        }
    return false;
}

/* A lane's panel and name; below, what the third colour means. */

static void lanes_draw(const an_network_picture *p, double width)
{
    for (int d = 0; d < p->lanes; d++) {
        char text[32];
        snprintf(text, sizeof(text), p->lanes > 1 ? "device %d" : "one device", d);
        an_canvas_rectangle(p->canvas, AN_NETWORK_MARGIN / 2, AN_NETWORK_TOP + AN_NETWORK_LANE * d,
                            width - AN_NETWORK_MARGIN, AN_NETWORK_LANE - 8, AN_COLOUR_PANEL);
        an_canvas_text(p->canvas, text,
                       &(an_text_style){AN_NETWORK_MARGIN, AN_NETWORK_TOP + AN_NETWORK_LANE * d + 22, AN_NETWORK_LABELS,
                                        12, AN_ALIGN_LEFT, AN_COLOUR_DEVICE(d), true});
    }
    if (crosses_anywhere(p->graph))
        an_canvas_text(p->canvas, "crosses between the devices",
                       &(an_text_style){width - AN_NETWORK_MARGIN, AN_NETWORK_TOP + AN_NETWORK_LANE * p->lanes - 16, 0,
                                        11, AN_ALIGN_RIGHT, AN_COLOUR_CROSSING, true});
}

static void bodies_draw(const an_network_picture *p)
{
    for (int at = 0; at < p->count; at++)
        for (int d = 0; d < AN_GRAPH_DEVICES; d++)
            if (p->columns[at].nodes[d])
                body_draw(p, at, p->columns[at].nodes[d]);
    for (int at = 0; at < p->count; at++)
        for (int d = 0; d < AN_GRAPH_DEVICES; d++)
            if (p->columns[at].nodes[d]) {
                links_draw(p, at, p->columns[at].nodes[d]);
                shape_draw(p, at, p->columns[at].nodes[d]);
            }
}

static int kinds_check(const an_graph *graph)
{
    for (int i = 0; i < graph->count; i++)
        if (!an_kind_find(graph->nodes[i].kind))
            return an_error(AN_EINVAL, "%s: cannot draw layer kind %d, which has no row in the table of kinds",
                            graph->nodes[i].name, (int)graph->nodes[i].kind);
    return AN_OK;
}

int an_network_draw(an_canvas **out, an_canvas_kind kind, const an_graph *graph, const char *title)
{
    an_network_picture p = {.graph = graph, .most_channels = 1, .most_units = 1};
    int notes = 0, rc = kinds_check(graph);
    if (rc)
        return rc;
    for (int i = 0; i < graph->count; i++)
        place(&p, i);
    for (int at = 0; at < p.count; at++)
        notes = p.columns[at].note_count > notes ? p.columns[at].note_count : notes;
    double width = 2 * AN_NETWORK_MARGIN + AN_NETWORK_LABELS + AN_NETWORK_COLUMN * p.count,
           names = AN_NETWORK_TOP + AN_NETWORK_LANE * p.lanes + 16;
    rc = an_canvas_create(&p.canvas, kind, width, names + AN_NETWORK_ROW * (notes + AN_NETWORK_TABLE_ROWS + 1) + 8,
                          title);
    if (rc < 0)
        return rc;
    an_network_title_draw(&p, width, title);
    lanes_draw(&p, width);
    bodies_draw(&p);
    for (int at = 0; at < p.count; at++)
        an_network_label(&p, AN_NETWORK_MARGIN + AN_NETWORK_LABELS + AN_NETWORK_COLUMN * (at + 0.5), names, 12,
                         AN_COLOUR_INK, true, p.columns[at].nodes[0]->name);
    an_network_table_draw(&p, names + AN_NETWORK_ROW + 3, notes);
    *out = p.canvas;
    return AN_OK;
}
