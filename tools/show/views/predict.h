/* Runs a network over images, and draws the left panel of the paper's Figure 4: images with their most probable
 * classes. */
#ifndef AN_TOOLS_SHOW_VIEWS_PREDICT_H
#define AN_TOOLS_SHOW_VIEWS_PREDICT_H

#include "base/error.h"
#include "tools/show/canvas/canvas.h"
#include "tools/show/content/subjects.h"

/* Is given every image, in order, with the network's prediction. It may take the image out of subject, leaving zeros
 * there. A negative return ends the run. */
typedef struct {
    int (*tell)(void *context, an_subject *subject);
    void *context;
} an_predict_watcher;

/* Images that do not decode are passed over: *unusable counts them, and the first one's reason is kept in *reason.
 * AN_ECORRUPT, naming the image, if the network's outputs are not finite. */
int an_predict(an_viewer *viewer, an_subjects *subjects, const an_predict_watcher *watcher, uint64_t *unusable,
               an_error_state *reason);

/* Images in a grid, the true class below, and a bar for each of the most probable ones. The caller frees. */
int an_panel_draw(an_canvas **out, an_canvas_kind kind, const an_viewer *viewer, const an_subject *subjects, int count,
                  int columns);

#endif
