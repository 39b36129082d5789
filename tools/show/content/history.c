#include "tools/show/content/history.h"

#include <jansson.h>
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

static int event_add(an_history *h, const json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));
    bool train = type && strcmp(type, "train") == 0, validation = type && strcmp(type, "validation") == 0;
    if (!train && !validation)
        return AN_OK;
    h->epochs = json_number_value(json_object_get(event, "epoch"));
    h->steps = json_number_value(json_object_get(event, "step"));
    an_curve *curves = h->curves;
    int rc = value_add(&curves[train ? AN_CURVE_ERROR : AN_CURVE_VALIDATION_ERROR], event, "top1", -100, 100);
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

/* The last part of a path, whatever slashes end it. */
static char *name_of(const char *run)
{
    size_t end = strlen(run), start;
    while (end > 1 && run[end - 1] == '/')
        end--;
    for (start = end; start > 0 && run[start - 1] != '/';)
        start--;
    return strndup(run + start, end - start);
}

int an_history_load(an_history *out, const char *run)
{
    an_buffer path = {0}, file = {0};
    *out = (an_history){.name = name_of(run)};
    int rc = out->name ? an_buffer_printf(&path, "%s/metrics.jsonl", run) : an_error(AN_ENOMEM, "out of memory");
    if (!rc)
        rc = an_file_read((char *)path.data, FILE_MAX_BYTES, &file);
    if (rc == AN_ENOTFOUND)
        rc = an_error_prefix(rc, "'%s' is no run of an-train", run);
    if (!rc)
        rc = lines_read(out, &file);
    for (int i = 0; i < AN_CURVES; i++) {
        average(&out->curves[i]);
        thin(&out->curves[i]);
    }
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

void an_history_free(an_history *h)
{
    for (int i = 0; i < AN_CURVES; i++)
        free(h->curves[i].points);
    free(h->name);
    *h = (an_history){0};
}
