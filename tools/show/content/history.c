#include "tools/show/content/history.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "train/watch/metrics.h"

#define FILE_MAX_BYTES ((size_t)1 << 30)
#define POINTS_MAX 600

static int point_add(an_curve *c, double x, double y)
{
    if (c->count == c->capacity) {
        int capacity = c->capacity ? 2 * c->capacity : 256;
        an_point *grown = realloc(c->points, (size_t)capacity * sizeof(*grown));
        if (!grown)
            return an_error(AN_ENOMEM, "out of memory for a curve");
        c->points = grown;
        c->capacity = capacity;
    }
    c->points[c->count++] = (an_point){x, y};
    return AN_OK;
}

static int value_add(an_curve *c, const json_t *event, const char *key, double factor, double offset)
{
    const json_t *epoch = json_object_get(event, "epoch"), *value = json_object_get(event, key);
    if (!json_is_number(epoch) || !json_is_number(value))
        return AN_OK;
    return point_add(c, json_number_value(epoch), offset + factor * json_number_value(value));
}

static int set_append(an_history *h, const char *name)
{
    an_history_set *grown = realloc(h->sets, (size_t)(h->set_count + 1) * sizeof(*grown));
    if (!grown)
        return an_error(AN_ENOMEM, "out of memory for a curve");
    h->sets = grown;
    grown[h->set_count] = (an_history_set){.name = strdup(name)};
    if (!grown[h->set_count].name)
        return an_error(AN_ENOMEM, "out of memory for a name");
    h->set_count++;
    return AN_OK;
}

/* The curves of the validation set that a line is of; *out is NULL if it is one too many. */
static int curves_find(an_history *h, const json_t *event, an_curve **out)
{
    const char *name = json_string_value(json_object_get(event, "set"));
    name = name ? name : "";
    if (!h->first_set && !(h->first_set = strdup(name)))
        return an_error(AN_ENOMEM, "out of memory for a name");
    *out = strcmp(h->first_set, name) == 0 ? h->curves : NULL;
    for (int i = 0; !*out && i < h->set_count; i++)
        if (strcmp(h->sets[i].name, name) == 0)
            *out = h->sets[i].curves;
    if (*out || h->set_count + 1 == AN_HISTORY_SETS_MAX)
        return AN_OK;
    int rc = set_append(h, name);
    if (!rc)
        *out = h->sets[h->set_count - 1].curves;
    return rc;
}

static int event_add(an_history *h, const json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));
    bool train = type && strcmp(type, "train") == 0, validation = type && strcmp(type, "validation") == 0;
    if (type && strcmp(type, "saved") == 0)
        h->saved = fmax(h->saved, json_number_value(json_object_get(event, "step")));
    if (type && strcmp(type, "start") == 0)
        return an_origin_read(&h->origin, event);
    if (!train && !validation)
        return AN_OK;
    h->epochs = json_number_value(json_object_get(event, "epoch"));
    h->steps = json_number_value(json_object_get(event, "step"));
    an_curve *curves = h->curves;
    int rc = train ? AN_OK : curves_find(h, event, &curves);
    if (rc || !curves)
        return rc;
    rc = value_add(&curves[train ? AN_CURVE_ERROR : AN_CURVE_VALIDATION_ERROR], event, "top1", -100, 100);
    if (!rc)
        rc = value_add(&curves[train ? AN_CURVE_TOP5 : AN_CURVE_VALIDATION_TOP5], event, "top5", -100, 100);
    if (!rc)
        rc = value_add(&curves[train ? AN_CURVE_LOSS : AN_CURVE_VALIDATION_LOSS], event, "loss", 1, 0);
    if (!rc && train)
        rc = value_add(&curves[AN_CURVE_RATE], event, "rate", 1, 0);
    if (!rc && train)
        rc = value_add(&curves[AN_CURVE_WAIT], event, "wait", 100, 0);
    if (!rc && train)
        rc = value_add(&curves[AN_CURVE_SPEED], event, "images_per_second", 1, 0);
    return rc;
}

static int line_read(an_history *h, const char *line, size_t length)
{
    uint64_t step;
    json_t *event = an_metrics_parse(line, length, &step);
    int rc = event ? event_add(h, event) : AN_OK;
    json_decref(event);
    return rc;
}

static int lines_read(an_history *h, const an_buffer *file)
{
    const char *at = (const char *)file->data, *end = at + file->size, *newline;
    int rc = AN_OK;
    while (!rc && at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        rc = line_read(h, at, (size_t)(newline - at));
        at = newline + 1;
    }
    return rc;
}

/* A run that is stopped logs no more, but saves what it has reached. Each step is the same part of an epoch. */
static void end_extend(an_history *h)
{
    if (h->steps <= 0 || h->saved <= h->steps)
        return;
    h->epochs *= h->saved / h->steps;
    h->steps = h->saved;
}

/* Of all points alike: groups of thinned points need not be equally large. */
static void average(an_curve *c)
{
    double sum = 0;
    for (int i = 0; i < c->count; i++)
        sum += c->points[i].y;
    c->mean = c->count ? sum / c->count : 0;
}

static void thin(an_curve *c)
{
    int group = (c->count + POINTS_MAX - 1) / POINTS_MAX, out = 0;
    for (int i = 0; group > 1 && i < c->count; i += group, out++) {
        int end = i + group < c->count ? i + group : c->count;
        an_point sum = {0, 0};
        for (int k = i; k < end; k++) {
            sum.x += c->points[k].x / (end - i);
            sum.y += c->points[k].y / (end - i);
        }
        c->points[out] = sum;
    }
    c->count = group > 1 ? out : c->count;
}

/* The mean of steps would be values that never were. */
static void thin_steps(an_curve *c)
{
    int out = 0, group;
    for (int i = 0; i < c->count; i++) {
        bool between = i > 0 && i + 1 < c->count && c->points[i - 1].y == c->points[i].y;
        if (!between || c->points[i + 1].y != c->points[i].y)
            c->points[out++] = c->points[i];
    }
    c->count = out;
    group = (c->count + POINTS_MAX - 1) / POINTS_MAX;
    out = 0;
    for (int i = 0; group > 1 && i < c->count; i += group)
        c->points[out++] = c->points[i + group - 1 < c->count ? i + group - 1 : c->count - 1];
    c->count = group > 1 ? out : c->count;
}

static void curves_finish(an_curve *curves)
{
    for (int i = 0; i < AN_CURVES; i++) {
        average(&curves[i]);
        if (i == AN_CURVE_RATE)
            thin_steps(&curves[i]);
        else
            thin(&curves[i]);
    }
}

/* Where the last parts of a path begin. */
static const char *tail(const char *path, int parts)
{
    const char *at = path + strlen(path);
    while (at > path && (at[-1] != '/' || --parts > 0))
        at--;
    return at;
}

static int names_set(an_history *h, const char *run)
{
    size_t end = strlen(run);
    while (end > 1 && run[end - 1] == '/')
        end--;
    h->path = strndup(run, end);
    h->name = h->path ? strdup(tail(h->path, 1)) : NULL;
    return h->name ? AN_OK : an_error(AN_ENOMEM, "out of memory for a name");
}

/* Whether another run's path ends in the same parts. */
static bool ambiguous(const an_history *runs, int count, int number, int parts)
{
    const char *name = tail(runs[number].path, parts);
    for (int i = 0; i < count; i++)
        if (i != number && strcmp(tail(runs[i].path, parts), name) == 0)
            return true;
    return false;
}

int an_history_distinguish(an_history *runs, int count)
{
    for (int i = 0; i < count; i++) {
        int parts = 1;
        while (ambiguous(runs, count, i, parts) && tail(runs[i].path, parts) > runs[i].path)
            parts++;
        char *name = strdup(tail(runs[i].path, parts));
        if (!name)
            return an_error(AN_ENOMEM, "out of memory for a name");
        free(runs[i].name);
        runs[i].name = name;
    }
    return AN_OK;
}

int an_history_load(an_history *out, const char *run)
{
    an_buffer path = {0}, file = {0};
    *out = (an_history){0};
    int rc = names_set(out, run);
    if (!rc)
        rc = an_buffer_printf(&path, "%s/metrics.jsonl", run);
    if (!rc)
        rc = an_file_read((char *)path.data, FILE_MAX_BYTES, &file);
    if (rc == AN_ENOTFOUND)
        rc = an_error_prefix(rc, "'%s' is no run of an-train", run);
    if (!rc)
        rc = lines_read(out, &file);
    end_extend(out);
    curves_finish(out->curves);
    for (int i = 0; i < out->set_count; i++)
        curves_finish(out->sets[i].curves);
    if (!rc && !out->curves[AN_CURVE_LOSS].count)
        rc = an_error(AN_EINVAL, "'%s' has logged no step yet: let it train for --log-every steps first", run);
    an_buffer_free(&path);
    an_buffer_free(&file);
    if (rc < 0)
        an_history_free(out);
    return rc;
}

double an_history_mean(const an_history *history, an_curve_kind kind)
{
    return history->curves[kind].mean;
}

static void curves_free(an_curve *curves)
{
    for (int i = 0; i < AN_CURVES; i++)
        free(curves[i].points);
}

void an_history_free(an_history *h)
{
    curves_free(h->curves);
    for (int i = 0; i < h->set_count; i++) {
        curves_free(h->sets[i].curves);
        free(h->sets[i].name);
    }
    free(h->sets);
    an_origin_free(&h->origin);
    free(h->first_set);
    free(h->path);
    free(h->name);
    *h = (an_history){0};
}
