/* A sheet under construction, and what its two columns share. */
#ifndef AN_TOOLS_SHOW_VIEWS_AUGMENT_PRIVATE_H
#define AN_TOOLS_SHOW_VIEWS_AUGMENT_PRIVATE_H

#include "tools/show/views/augment_sheet.h"

#define AN_AUGMENT_MARGIN 24.0
#define AN_AUGMENT_TOP 72.0
#define AN_AUGMENT_HEADING 30.0
#define AN_AUGMENT_COLUMNS 6    /* epochs in a row */
#define AN_AUGMENT_STORED 256.0 /* the record's picture, and the width of the left column */

typedef struct {
    const an_augment_sheet *sheet;
    an_canvas *canvas;
    an_sampler *seen;  /* crop, mirror, colours: still a picture */
    an_sampler *input; /* what the network gets */
    an_sample_scratch *seen_scratch, *input_scratch;
    an_sample_draw *draws; /* of each epoch */
    an_record record;
    float *values;  /* crop x crop x 3 */
    an_image whole; /* the record */
    an_image image;
} an_augment_artist;

/* The left column: the record, what is subtracted from it, and where the ten crops lie. */
int an_augment_stored_draw(const an_augment_artist *a);
/* Where it ends. */
double an_augment_stored_bottom(const an_augment_sheet *sheet);

void an_augment_heading(const an_augment_artist *a, double x, double y, const char *text);
/* "top left" ... "centre": where one of the ten crops lies. */
const char *an_augment_place(const an_augment_artist *a, const an_sample_draw *draw);

#endif
