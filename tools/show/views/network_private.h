/* What the drawing of a network and the table below it share. */
#ifndef AN_TOOLS_SHOW_VIEWS_NETWORK_PRIVATE_H
#define AN_TOOLS_SHOW_VIEWS_NETWORK_PRIVATE_H

#include "tools/show/views/network_draw.h"

/* A column for each layer that is a body of its own (the image, convolutions, fully connected layers); what stands
 * between them (normalisation, pooling, dropout, loss) is written under the one before. A lane for each device. */
#define AN_NETWORK_COLUMN 134.0
#define AN_NETWORK_MARGIN 28.0
#define AN_NETWORK_LABELS 92.0 /* left of the table */
#define AN_NETWORK_TOP 78.0
#define AN_NETWORK_LANE 232.0
#define AN_NETWORK_ROW 19.0
#define AN_NETWORK_NOTES_MAX 6

typedef struct {
    const an_node *nodes[AN_GRAPH_DEVICES]; /* of each device, or NULL */
    char notes[AN_NETWORK_NOTES_MAX][32];
    int note_count;
    int note_layer; /* of the last note */
} an_network_column;

typedef struct {
    const an_graph *graph;
    an_canvas *canvas;
    an_network_column columns[AN_GRAPH_NODES_MAX];
    int count;
    int column_of[AN_GRAPH_NODES_MAX]; /* of each node: where it is drawn */
    int lanes;
    double largest_side, most_channels, most_units;
} an_network_picture;

#define AN_NETWORK_TABLE_ROWS 4 /* besides notes */

an_figure an_network_figure(const an_node *node);
/* Text in the middle of a column. */
void an_network_label(const an_network_picture *p, double x, double y, double size, an_colour colour, bool bold,
                      const char *text);

/* y: of the first row's baseline; notes: how many rows they need. */
void an_network_table_draw(const an_network_picture *p, double y, int notes);
void an_network_title_draw(const an_network_picture *p, double width, const char *title);

#endif
