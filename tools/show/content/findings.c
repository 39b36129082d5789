#include "tools/show/content/findings.h"

#include <stdlib.h>

#include "base/error.h"

static void mistake_keep(an_findings *f, const an_prediction *p)
{
    uint32_t at = f->mistake_count < f->mistakes_wanted ? f->mistake_count++ : f->mistakes_wanted;
    for (; at > 0 && p->probability[0] > f->mistakes[at - 1].probability[0]; at--)
        if (at < f->mistakes_wanted)
            f->mistakes[at] = f->mistakes[at - 1];
    if (at < f->mistakes_wanted)
        f->mistakes[at] = *p;
}

static int look(void *context, uint64_t index, uint32_t label, const float *probabilities)
{
    an_findings *f = context;
    an_prediction p;
    int rc = an_prediction_make(&p, index, label, probabilities, f->confusion.classes);
    if (rc)
        return rc;
    an_confusion_add(&f->confusion, label, p.top[0]);
    if (p.top[0] != label)
        mistake_keep(f, &p);
    return AN_OK;
}

int an_findings_make(an_findings *out, an_viewer *viewer, const an_dataset *dataset, uint32_t mistakes)
{
    *out = (an_findings){.mistakes_wanted = mistakes};
    an_train_view_options view = {.dataset = dataset,
                                  .input = &viewer->trained.input,
                                  .crop = viewer->trained.config.crop,
                                  .batch = viewer->options.batch,
                                  .threads = an_train_loader_threads(viewer->exec, viewer->options.loader_threads)};
    an_evaluate_watcher watcher = {look, out, viewer->classes};
    int rc = an_confusion_init(&out->confusion, viewer->classes);
    out->mistakes = calloc((size_t)mistakes + 1, sizeof(*out->mistakes));
    if (!rc && !out->mistakes)
        rc = an_error(AN_ENOMEM, "out of memory for mistakes");
    if (!rc)
        rc = an_evaluate_centre(viewer->exec, &view, &watcher, &out->result);
    if (rc)
        an_findings_free(out);
    return rc;
}

void an_findings_free(an_findings *f)
{
    an_confusion_free(&f->confusion);
    free(f->mistakes);
    *f = (an_findings){0};
}

double an_findings_share(const an_findings *f, uint32_t label)
{
    uint64_t total = an_confusion_total(&f->confusion, label);
    return total ? (double)an_confusion_correct(&f->confusion, label) / (double)total : 0;
}

/* Insertion sort: there are about a thousand classes, and this is done once. */
uint32_t an_findings_order(const an_findings *f, uint32_t *out)
{
    uint32_t count = 0;
    for (uint32_t c = 0; c < f->confusion.classes; c++) {
        double share = an_findings_share(f, c);
        uint32_t at = count;
        if (!an_confusion_total(&f->confusion, c))
            continue;
        for (count++; at > 0 && an_findings_share(f, out[at - 1]) < share; at--)
            out[at] = out[at - 1];
        out[at] = c;
    }
    return count;
}
