/* A sheet that shows one image as training sees it in each epoch. The loader's own code makes the crops. */
#ifndef AN_TOOLS_SHOW_VIEWS_AUGMENT_SHEET_H
#define AN_TOOLS_SHOW_VIEWS_AUGMENT_SHEET_H

#include "augment/sample.h"
#include "store/dataset/dataset.h"
#include "tools/show/canvas/canvas.h"

typedef struct {
    const an_dataset *dataset;
    uint64_t record;
    uint64_t seed;
    int epochs;               /* how many are drawn, from epoch 0 on */
    an_sample_options sample; /* as training has them; the format is set here */
} an_augment_sheet;

/* The caller frees. */
int an_augment_sheet_draw(an_canvas **out, an_canvas_kind kind, const an_augment_sheet *sheet);

#endif
