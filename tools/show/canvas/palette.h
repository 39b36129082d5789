/* The colours of all pictures, named by what they mean. In a report they follow the reader's light or dark scheme;
 * files use the light colours. */
#ifndef AN_TOOLS_SHOW_CANVAS_PALETTE_H
#define AN_TOOLS_SHOW_CANVAS_PALETTE_H

#define AN_PALETTE_SERIES 12 /* colours of series */

typedef enum {
    AN_COLOUR_PAPER,
    AN_COLOUR_PANEL, /* areas on paper */
    AN_COLOUR_INK,
    AN_COLOUR_MUTED, /* secondary text, axes */
    AN_COLOUR_FAINT, /* grids */
    AN_COLOUR_RIGHT, /* the true class */
    AN_COLOUR_WRONG, /* every other class */
    AN_COLOUR_SERIES,
    AN_COLOURS = AN_COLOUR_SERIES + AN_PALETTE_SERIES
} an_colour;

/* Each logical device has a colour, and so have the values that go from one to the other. */
#define AN_COLOUR_DEVICE(d) ((an_colour)(AN_COLOUR_SERIES + (d)))
#define AN_COLOUR_CROSSING ((an_colour)(AN_COLOUR_SERIES + 3))

typedef struct {
    const char *name;     /* of the style sheet's variable */
    unsigned light, dark; /* 0xRRGGBB */
} an_palette_entry;

/* The colour of series number 0, 1, ...; the twelve colours repeat. */
an_colour an_palette_series(int number);
const an_palette_entry *an_palette(an_colour colour);

#endif
