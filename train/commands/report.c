#include "train/commands/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/program/print.h"
#include "base/text/utf8.h"
#include "train/state/text.h"

static const char *class_name(const an_eval_report *r, uint32_t label)
{
    return an_dataset_class(r->dataset, label)->name;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static int worst(const an_eval_report *r, an_confused **out, size_t *count)
{
    *out = calloc((size_t)r->pairs + 1, sizeof(**out));
    if (!*out)
        return an_error(AN_ENOMEM, "out of memory for confusions");
    *count = an_confusion_worst(r->confusion, *out, (size_t)r->pairs);
    return AN_OK;
}

/* ---- Text ---- */

static int print_prediction(const an_eval_report *r, const an_prediction *p)
{
    const char *name;
    size_t length;
    int rc = an_dataset_name(r->dataset, p->index, &name, &length);
    if (rc)
        return rc;
    printf("%s: %s\n", an_shown_make_sized(name, length).text, an_shown_make(class_name(r, p->label)).text);
    for (uint32_t i = 0; i < p->count; i++)
        printf("  %s %5.1f %%  %s\n", p->top[i] == p->label ? "*" : " ", 100 * (double)p->probability[i],
               an_shown_make(class_name(r, p->top[i])).text);
    printf("\n");
    return AN_OK;
}

static void print_classes(const an_eval_report *r)
{
    printf("class accuracy (correct of all):\n");
    for (uint32_t c = 0; c < r->confusion->classes; c++) {
        uint64_t total = an_confusion_total(r->confusion, c), correct = an_confusion_correct(r->confusion, c);
        printf("  %6.2f %%  %6" PRIu64 " of %-6" PRIu64 "  %s\n", 100 * share(correct, total), correct, total,
               an_shown_make(class_name(r, c)).text);
    }
    printf("\n");
}

static int print_pairs(const an_eval_report *r)
{
    an_confused *pairs;
    size_t count = 0;
    int rc = worst(r, &pairs, &count);
    if (rc)
        return rc;
    printf("most frequent confusions:\n");
    for (size_t i = 0; i < count; i++)
        printf("  %6" PRIu64 "  %s taken for %s\n", pairs[i].count, an_shown_make(class_name(r, pairs[i].label)).text,
               an_shown_make(class_name(r, pairs[i].predicted)).text);
    printf("\n");
    free(pairs);
    return AN_OK;
}

/* Of one network the totals are those of the evaluation. */
static void print_networks(const an_eval_report *r)
{
    for (int i = 0; i < r->network_count; i++) {
        const an_eval_network *n = &r->networks[i];
        const an_evaluation *e = &n->result;
        an_print("weights     %s, step %" PRIu64, n->weights, n->step);
        if (r->network_count > 1)
            printf(": top-1 %.2f %%, top-%u %.2f %%, loss %.4f", 100 * share(e->top1, e->images), e->k,
                   100 * share(e->topk, e->images), e->loss);
        printf("\n");
    }
}

static bool is_training_set(const an_eval_report *r)
{
    bool any = false;
    for (int i = 0; i < r->network_count; i++)
        any = any || r->networks[i].training_set;
    return any;
}

static void print_totals(const an_eval_report *r)
{
    const an_evaluation *e = &r->result;
    double top1 = 100 * share(e->top1, e->images), topk = 100 * share(e->topk, e->images);
    char name[32];
    snprintf(name, sizeof(name), "top-%u", e->k);
    print_networks(r);
    an_print("dataset     %s%s: %" PRIu64 " images, %u classes\n", an_dataset_path(r->dataset),
             is_training_set(r) ? " (the training set)" : "", e->images, an_dataset_class_count(r->dataset));
    printf("view        %s",
           strcmp(r->view, "centre") == 0 ? "the centre of each image" : "ten crops of each image, averaged");
    if (r->network_count > 1)
        printf("; the mean of %d networks' predictions", r->network_count);
    printf("\n");
    printf("top-1       %.2f %% (error %.2f %%)\n", top1, 100 - top1);
    printf("%-11s %.2f %% (error %.2f %%)\n", name, topk, 100 - topk);
    printf("loss        %.4f\n", e->loss);
}

int an_eval_report_print(const an_eval_report *report)
{
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < report->shown_count; i++)
        rc = print_prediction(report, &report->shown[i]);
    if (!rc && report->per_class)
        print_classes(report);
    if (!rc && report->pairs)
        rc = print_pairs(report);
    if (!rc)
        print_totals(report);
    return rc;
}

/* ---- JSON: jansson's functions give NULL when memory runs out, and pass it on; only the end looks at it ---- */

static json_t *text_json(const char *text)
{
    return an_text_json(text, strlen(text));
}

static json_t *name_json(const an_eval_report *r, uint32_t label)
{
    return text_json(class_name(r, label));
}

static json_t *prediction_json(const an_eval_report *r, const an_prediction *p)
{
    const char *name = "";
    size_t length = 0;
    if (an_dataset_name(r->dataset, p->index, &name, &length) < 0)
        return NULL;
    json_t *top = json_array();
    for (uint32_t i = 0; i < p->count; i++)
        json_array_append_new(
            top, json_pack("{s:o, s:f}", "class", name_json(r, p->top[i]), "probability", (double)p->probability[i]));
    return json_pack("{s:I, s:o, s:o, s:o}", "index", (json_int_t)p->index, "name", an_text_json(name, length), "class",
                     name_json(r, p->label), "predictions", top);
}

static json_t *predictions_json(const an_eval_report *r)
{
    json_t *list = json_array();
    int failed = 0;
    for (size_t i = 0; i < r->shown_count; i++)
        failed |= json_array_append_new(list, prediction_json(r, &r->shown[i]));
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *classes_json(const an_eval_report *r)
{
    json_t *list = json_array();
    for (uint32_t c = 0; c < r->confusion->classes; c++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:I, s:I}", "id",
                                              text_json(an_dataset_class(r->dataset, c)->id), "name", name_json(r, c),
                                              "images", (json_int_t)an_confusion_total(r->confusion, c), "correct",
                                              (json_int_t)an_confusion_correct(r->confusion, c)));
    return list;
}

static json_t *pairs_json(const an_eval_report *r)
{
    an_confused *pairs;
    size_t count = 0;
    if (worst(r, &pairs, &count) < 0)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:I}", "class", name_json(r, pairs[i].label), "taken_for",
                                              name_json(r, pairs[i].predicted), "images", (json_int_t)pairs[i].count));
    free(pairs);
    return list;
}

/* "top5" */
typedef struct {
    char text[32];
} topk_key;

static topk_key topk_name(const an_evaluation *e)
{
    topk_key key;
    snprintf(key.text, sizeof(key.text), "top%u", e->k);
    return key;
}

static json_t *network_json(const an_eval_network *n, bool accuracy)
{
    const an_evaluation *e = &n->result;
    if (!accuracy)
        return json_pack("{s:o, s:I}", "weights", text_json(n->weights), "step", (json_int_t)n->step);
    return json_pack("{s:o, s:I, s:f, s:f, s:f}", "weights", text_json(n->weights), "step", (json_int_t)n->step, "top1",
                     share(e->top1, e->images), topk_name(e).text, share(e->topk, e->images), "loss", e->loss);
}

/* One network as members of object, several as a list. */
static int add_networks(const an_eval_report *r, json_t *object)
{
    if (r->network_count == 1) {
        json_t *one = network_json(&r->networks[0], false);
        int failed = json_object_update(object, one);
        json_decref(one);
        return failed;
    }
    json_t *list = json_array();
    int failed = 0;
    for (int i = 0; i < r->network_count; i++)
        failed |= json_array_append_new(list, network_json(&r->networks[i], true));
    return failed | json_object_set_new(object, "networks", list);
}

int an_eval_report_print_json(const an_eval_report *r)
{
    const an_evaluation *e = &r->result;
    json_t *object = json_object();
    json_t *totals =
        json_pack("{s:o, s:b, s:s, s:I, s:f, s:f, s:f}", "dataset", text_json(an_dataset_path(r->dataset)),
                  "training_set", (int)is_training_set(r), "view", r->view, "images", (json_int_t)e->images, "top1",
                  share(e->top1, e->images), topk_name(e).text, share(e->topk, e->images), "loss", e->loss);
    int failed = add_networks(r, object);
    failed |= json_object_update(object, totals);
    json_decref(totals);
    if (!failed && r->shown_count)
        failed |= json_object_set_new(object, "shown", predictions_json(r));
    if (!failed && r->per_class)
        failed |= json_object_set_new(object, "classes", classes_json(r));
    if (!failed && r->pairs)
        failed |= json_object_set_new(object, "confusions", pairs_json(r));
    char *text = failed ? NULL : json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    int rc = text ? AN_OK : an_error(AN_ENOMEM, "out of memory for the report as JSON");
    if (text)
        printf("%s\n", text);
    free(text);
    json_decref(object);
    return rc;
}
