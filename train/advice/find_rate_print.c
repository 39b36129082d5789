#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "train/advice/find_rate.h"

enum { PLENTY = 200 /* steps */ };

static int print_points(const an_rate_finding *f, an_buffer *out)
{
    int rc = AN_OK;
    for (int i = 0; !rc && i < f->count; i++)
        if (i % (f->steps / 20 + 1) == 0 || i == f->count - 1)
            rc = an_buffer_printf(out, "rate %-10.3g  loss %.4f\n", f->points[i].rate, f->points[i].loss);
    return rc;
}

static const char *remedy(const an_rate_finding *f)
{
    if (f->steps < PLENTY)
        return "try --find-lr 200";
    if (!f->choice.bar_is_guesses)
        return "the weights are good already; try more steps, or the rate that they were trained with";
    return f->paper_init ? "the network does not start (try --init he)" : "the network does not start";
}

static int print_bar(const an_rate_finding *f, an_buffer *out)
{
    if (f->choice.bar_is_guesses)
        return an_buffer_printf(out, "that of guessing, ln(%d) = %.4f", f->classes, f->choice.bar);
    return an_buffer_printf(out, "%.4f, that of the start", f->choice.bar);
}

static int print_choice(const an_rate_finding *f, an_buffer *out)
{
    const an_rate_choice *c = &f->choice;
    if (f->count == 0)
        return an_buffer_printf(out, "no rate can be named: the loss is not finite at rate %g already\n",
                                AN_FIND_RATE_MIN);
    if (c->rate > 0)
        return an_buffer_printf(out,
                                "\nuse --rate %.2g: a third of the rate %.3g, at which the loss was lowest, %.4f\n",
                                c->rate, c->at, c->lowest);
    int rc = an_buffer_printf(out, "\nno rate can be named: the lowest loss, %.4f at rate %.3g, is not 2 %% below ",
                              c->lowest, c->at);
    if (!rc)
        rc = print_bar(f, out);
    return rc ? rc : an_buffer_printf(out, ": %s\n", remedy(f));
}

int an_find_rate_print(const an_rate_finding *f, an_buffer *out)
{
    int rc = print_points(f, out);
    return rc ? rc : print_choice(f, out);
}

/* Appends the object, which may be NULL, as a line and frees it. */
static int put(json_t *object, an_buffer *out)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    int rc = text ? an_buffer_printf(out, "%s\n", text) : an_error(AN_EINTERNAL, "cannot write a rate as JSON");
    free(text);
    json_decref(object);
    return rc;
}

int an_find_rate_print_json(const an_rate_finding *f, an_buffer *out)
{
    const an_rate_choice *c = &f->choice;
    int rc = AN_OK;
    for (int i = 0; !rc && i < f->count; i++)
        rc = put(json_pack("{s:s, s:i, s:f, s:f}", "type", "find-lr", "step", i, "rate", f->points[i].rate, "loss",
                           f->points[i].loss),
                 out);
    if (rc)
        return rc;
    json_t *rate = c->rate > 0 ? json_real(c->rate) : json_null();
    if (f->count == 0)
        return put(json_pack("{s:s, s:o}", "type", "found-lr", "rate", rate), out);
    return put(json_pack("{s:s, s:o, s:f, s:f, s:f, s:s}", "type", "found-lr", "rate", rate, "lowest_loss", c->lowest,
                         "lowest_rate", c->at, "bar", c->bar, "bar_is", c->bar_is_guesses ? "guessing" : "start"),
               out);
}
