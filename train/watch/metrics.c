#include "train/watch/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text/json.h"
#include "train/state/text.h"

#define METRICS_MAX ((size_t)1 << 30)
#define KEY_MAX 16

struct an_metrics {
    FILE *file;
    char *path;
};

static const char *const kinds[] = {"start", "train", "validation", "saved", "note", "warning"};

uint32_t an_event_k(const an_train_event *event)
{
    return event->k ? event->k : 5;
}

/* "top5" */
static void topk_name(const an_train_event *e, char out[KEY_MAX])
{
    snprintf(out, KEY_MAX, "top%u", an_event_k(e));
}

/* JSON has no whole numbers of 64 bits. */
static void add_samples(const an_train_event *e, json_t *object)
{
    char text[17];
    snprintf(text, sizeof(text), "%016" PRIx64, e->samples);
    json_object_set_new(object, "samples", json_string(text));
}

static void add_ranks(const an_train_event *e, json_t *object)
{
    json_object_set_new(object, "ranks", json_integer(e->ranks));
    json_object_set_new(object, "reduce", json_real(e->reduce));
    json_object_set_new(object, "wait_rank", json_integer(e->wait_rank));
    json_object_set_new(object, "wait_host", an_text_json(e->wait_host, strlen(e->wait_host)));
    if (e->device_idle < 0)
        return;
    json_object_set_new(object, "idle_rank", json_integer(e->idle_rank));
    json_object_set_new(object, "idle_host", an_text_json(e->idle_host, strlen(e->idle_host)));
}

static json_t *describe_training(const an_train_event *e)
{
    char key[KEY_MAX];
    topk_name(e, key);
    json_t *object = json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "type", kinds[e->kind], "step",
                               (json_int_t)e->step, "epoch", e->epoch, "loss", e->loss, "top1", e->top1, key, e->topk,
                               "rate", e->rate, "images_per_second", e->images_per_second, "wait", e->wait);
    if (object && an_train_event_has_norm(e))
        json_object_set_new(object, "gradient_norm", json_real(e->gradient_norm));
    if (object && e->device_idle >= 0) {
        json_object_set_new(object, "device_idle", json_real(e->device_idle));
        json_object_set_new(object, "device_copy", json_real(e->device_copy));
    }
    add_samples(e, object);
    if (object && e->ranks)
        add_ranks(e, object);
    return object;
}

static json_t *describe_validation(const an_train_event *e)
{
    char key[KEY_MAX];
    topk_name(e, key);
    json_t *object = json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:b}", "type", kinds[e->kind], "step",
                               (json_int_t)e->step, "epoch", e->epoch, "loss", e->loss, "top1", e->top1, key, e->topk,
                               "seconds", e->seconds, "best", (int)e->best);
    if (!object || !e->set || !json_object_set_new(object, "set", an_text_json(e->set, strlen(e->set))))
        return object;
    json_decref(object);
    return NULL;
}

/* Texts quote paths. A new reference that is NULL makes json_pack fail. */
static json_t *describe_text(const an_train_event *e)
{
    json_t *object = json_pack("{s:s, s:I, s:o}", "type", kinds[e->kind], "step", (json_int_t)e->step, "text",
                               an_text_json(e->text, strlen(e->text)));
    if (object && e->kind == AN_EVENT_SAVED) {
        json_object_set_new(object, "seconds", json_real(e->seconds));
        json_object_set_new(object, "held", json_real(e->held));
    }
    return object;
}

static json_t *describe_start(const an_train_event *e)
{
    json_t *object = json_pack("{s:s, s:I, s:I}", "type", kinds[e->kind], "step", (json_int_t)e->step, "total_steps",
                               (json_int_t)e->total);
    if (object && !an_start_describe(e->start, object))
        return object;
    json_decref(object);
    return NULL;
}

static json_t *describe(const an_train_event *e)
{
    switch (e->kind) {
    case AN_EVENT_START:
        return describe_start(e);
    case AN_EVENT_TRAIN:
        return describe_training(e);
    case AN_EVENT_VALIDATION:
        return describe_validation(e);
    case AN_EVENT_SAVED:
    case AN_EVENT_NOTE:
    case AN_EVENT_WARNING:
        break;
    }
    return describe_text(e);
}

/* ISO 8601, UTC, to the millisecond. */
static void add_time(json_t *object, uint64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / 1000000000u);
    struct tm parts;
    char text[64];
    if (!gmtime_r(&seconds, &parts))
        return; /* a year that does not fit an int */
    size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, sizeof(text) - length, ".%03uZ", (unsigned)(time_ns / 1000000u % 1000u));
    json_object_set_new(object, "time", json_string(text));
}

int an_metrics_format(const an_train_event *event, an_buffer *out)
{
    json_t *object = describe(event);
    if (object && event->time_ns)
        add_time(object, event->time_ns);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    int rc = text ? an_buffer_printf(out, "%s\n", text) : an_error(AN_EINTERNAL, "cannot write a metric as JSON");
    free(text);
    json_decref(object);
    return rc;
}

struct json_t *an_metrics_parse(const char *line, size_t length, uint64_t *step)
{
    enum { VALUES_MAX = 1000 };
    json_t *object = an_json_within(line, length, VALUES_MAX) ? json_loadb(line, length, 0, NULL) : NULL;
    const json_t *at = json_object_get(object, "step");
    if (json_is_integer(at) && json_integer_value(at) >= 0) {
        *step = (uint64_t)json_integer_value(at);
        return object;
    }
    json_decref(object);
    return NULL;
}

static bool is_kind(const json_t *object, an_event_kind kind)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type && strcmp(type, kinds[kind]) == 0;
}

/* Whether a line counts and belongs to a step that the resumed run has behind it. */
static bool keep_line(const char *line, size_t length, uint64_t step)
{
    uint64_t at = 0;
    json_t *object = an_metrics_parse(line, length, &at);
    bool keep = object && (at < step || (at == step && !is_kind(object, AN_EVENT_START)));
    json_decref(object);
    return keep;
}

static void see_saved(const char *line, size_t length, uint64_t *last)
{
    uint64_t at = 0;
    json_t *object = an_metrics_parse(line, length, &at);
    if (is_kind(object, AN_EVENT_SAVED) && at)
        *last = at;
    json_decref(object);
}

int an_metrics_last_saved(const char *path, uint64_t *out)
{
    an_buffer text = {0};
    *out = 0;
    int rc = an_file_read(path, METRICS_MAX, &text);
    if (!rc)
        rc = an_buffer_append(&text, "", 1); /* so that there are bytes to point to */
    const char *at = (const char *)text.data, *end = rc ? at : at + text.size;
    for (const char *newline; at < end && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1)
        see_saved(at, (size_t)(newline - at), out);
    an_buffer_free(&text);
    return rc == AN_ENOTFOUND ? AN_OK : rc;
}

static int keep_until(const an_buffer *old, uint64_t step, an_buffer *kept)
{
    const char *at = (const char *)old->data, *end = at + old->size;
    int rc = AN_OK;
    for (const char *newline; !rc && at < end && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1)
        if (keep_line(at, (size_t)(newline - at), step))
            rc = an_buffer_append(kept, at, (size_t)(newline + 1 - at));
    return rc;
}

static int trim(const char *path, uint64_t step)
{
    an_buffer old = {0}, kept = {0};
    int rc = an_file_read(path, METRICS_MAX, &old);
    if (rc == AN_ENOTFOUND)
        return AN_OK;
    if (!rc)
        rc = keep_until(&old, step, &kept);
    if (!rc && kept.size != old.size)
        rc = an_file_replace(path, kept.data, kept.size);
    an_buffer_free(&old);
    an_buffer_free(&kept);
    return rc;
}

static int open_file(an_metrics *metrics)
{
    int fd;
    int rc = an_file_open_as(&fd, metrics->path, O_WRONLY | O_APPEND | O_CREAT);
    if (rc)
        return rc;
    metrics->file = fdopen(fd, "a");
    if (metrics->file)
        return AN_OK;
    rc = an_error_errno(errno, "cannot open '%s'", metrics->path);
    close(fd);
    return rc;
}

int an_metrics_open(an_metrics **out, const char *path, uint64_t step)
{
    int rc = trim(path, step);
    if (rc)
        return rc;
    an_metrics *metrics = calloc(1, sizeof(*metrics));
    if (!metrics || !(metrics->path = strdup(path)))
        rc = an_error(AN_ENOMEM, "out of memory for '%s'", path);
    else
        rc = open_file(metrics);
    if (rc) {
        an_metrics_close(metrics);
        return rc;
    }
    *out = metrics;
    return AN_OK;
}

int an_metrics_write(an_metrics *metrics, const an_train_event *event)
{
    an_buffer line = {0};
    int rc = an_metrics_format(event, &line);
    if (!rc && (fwrite(line.data, 1, line.size, metrics->file) != line.size || fflush(metrics->file) != 0))
        rc = an_error_errno(errno, "cannot write '%s'", metrics->path);
    an_buffer_free(&line);
    return rc;
}

void an_metrics_close(an_metrics *metrics)
{
    if (!metrics)
        return;
    if (metrics->file)
        fclose(metrics->file);
    free(metrics->path);
    free(metrics);
}
