#include "ingest/commands/info.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text/utf8.h"
#include "ingest/run/json.h"

enum { CODEC_NUMBERS = 256 }; /* a record's header gives its codec one byte */

typedef struct {
    uint64_t payload, smallest, largest;
    uint64_t codecs[CODEC_NUMBERS]; /* records of each codec, by its number */
} totals;

static int count_records(const an_dataset *dataset, totals *out)
{
    *out = (totals){.smallest = UINT64_MAX};
    for (uint64_t i = 0; i < an_dataset_count(dataset); i++) {
        an_record record;
        int rc = an_dataset_record(dataset, i, &record);
        if (rc)
            return rc;
        uint64_t length = record.header.length;
        out->payload += length;
        out->smallest = length < out->smallest ? length : out->smallest;
        out->largest = length > out->largest ? length : out->largest;
        out->codecs[record.header.codec % CODEC_NUMBERS]++;
    }
    return AN_OK;
}

/* --- JSON ------------------------------------------------------------------------------------------------------ */

static json_t *json_reals(const double *values, int n)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(array, json_real(values[i]));
    return array;
}

static json_t *json_matrix(const double (*values)[3])
{
    json_t *array = json_array();
    for (int i = 0; i < 3; i++)
        json_array_append_new(array, json_reals(values[i], 3));
    return array;
}

json_t *an_info_statistics_json(const an_statistics *s)
{
    return json_pack("{so, so, so, so}", "mean", json_reals(s->mean, 3), "deviation", json_reals(s->deviation, 3),
                     "eigenvalues", json_reals(s->eigenvalue, 3), "eigenvectors", json_matrix(s->eigenvector));
}

static json_t *json_classes(const an_dataset *dataset)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < an_dataset_class_count(dataset); i++) {
        const an_class *one = an_dataset_class(dataset, i);
        json_t *object = json_pack("{si, so, so, sI}", "label", (int)i, "id", an_json_text(one->id), "name",
                                   an_json_text(one->name), "count", (json_int_t)one->count);
        if (json_array_append_new(array, object)) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *json_codecs(const totals *t)
{
    json_t *object = json_object();
    for (size_t i = 0; i < an_codec_count(); i++) {
        an_codec codec = an_codec_at(i);
        if (t->codecs[codec])
            json_object_set_new(object, an_codec_name(codec), json_integer((json_int_t)t->codecs[codec]));
    }
    return object;
}

static int load_manifest(const an_dataset *dataset, json_t **out)
{
    *out = json_loads(an_dataset_manifest(dataset), 0, NULL);
    if (json_is_object(*out))
        return AN_OK;
    json_decref(*out);
    *out = NULL;
    return an_error(AN_ECORRUPT, "'%s' is damaged: its manifest is no JSON object", an_dataset_file(dataset));
}

static int add_reject(void *context, const char *name, const char *reason, uint64_t bytes)
{
    json_t *object = json_pack("{so, so, sI}", "path", an_json_text(name), "reason", an_json_text(reason), "bytes",
                               (json_int_t)bytes);
    return json_array_append_new(context, object) ? an_error(AN_ENOMEM, "out of memory for the set-aside list") : AN_OK;
}

int an_info_json(const an_dataset *dataset, json_t **out)
{
    totals t;
    json_t *rejects = json_array(), *manifest = NULL;
    int rc = count_records(dataset, &t);
    if (!rc)
        rc = load_manifest(dataset, &manifest);
    if (!rc)
        rc = an_dataset_rejects(dataset, add_reject, rejects);
    if (rc) {
        json_decref(rejects);
        json_decref(manifest);
        return rc;
    }
    char fingerprint[17];
    snprintf(fingerprint, sizeof(fingerprint), "%016llx", (unsigned long long)an_dataset_fingerprint(dataset));
    *out = json_pack("{so, sI, si, s{sI, sI, sI, sI}, so, so, so, so, so, ss}", "path",
                     an_json_text(an_dataset_path(dataset)), "records", (json_int_t)an_dataset_count(dataset), "side",
                     (int)an_dataset_side(dataset), "bytes", "file", (json_int_t)an_dataset_file_size(dataset),
                     "payload", (json_int_t)t.payload, "smallest", (json_int_t)t.smallest, "largest",
                     (json_int_t)t.largest, "codecs", json_codecs(&t), "classes", json_classes(dataset), "statistics",
                     an_info_statistics_json(an_dataset_statistics(dataset)), "manifest", manifest, "set_aside",
                     rejects, "fingerprint", fingerprint);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory for the description of '%s'", an_dataset_path(dataset));
}

/* --- text ------------------------------------------------------------------------------------------------------ */

static int text_records(const an_dataset *dataset, const totals *t, an_buffer *out)
{
    uint64_t count = an_dataset_count(dataset);
    uint32_t side = an_dataset_side(dataset);
    int rc = an_buffer_printf(out, "%s\n  records      %llu of %u x %u pixels:", an_dataset_path(dataset),
                              (unsigned long long)count, side, side);
    for (size_t i = 0; i < an_codec_count() && !rc; i++) {
        an_codec codec = an_codec_at(i);
        if (t->codecs[codec])
            rc = an_buffer_printf(out, " %llu %s", (unsigned long long)t->codecs[codec], an_codec_name(codec));
    }
    if (rc)
        return rc;
    return an_buffer_printf(
        out, "\n  bytes        %.1f MB payload, %.1f kB a record (%.1f to %.1f), data.mdb %.1f MB\n",
        (double)t->payload / 1e6, count ? (double)t->payload / (double)count / 1e3 : 0,
        count ? (double)t->smallest / 1e3 : 0, (double)t->largest / 1e3, (double)an_dataset_file_size(dataset) / 1e6);
}

static int text_classes(const an_dataset *dataset, bool all, an_buffer *out)
{
    uint32_t count = an_dataset_class_count(dataset);
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t images = an_dataset_class(dataset, i)->count;
        least = images < least ? images : least;
        most = images > most ? images : most;
    }
    int rc = an_buffer_printf(out, "  classes      %u, of %llu to %llu images\n", count,
                              (unsigned long long)(count ? least : 0), (unsigned long long)most);
    for (uint32_t i = 0; i < count && all && !rc; i++) {
        const an_class *one = an_dataset_class(dataset, i);
        rc = an_buffer_printf(out, "    %5u  %7llu  %s  %s\n", i, (unsigned long long)one->count,
                              an_shown_make(one->id).text, an_shown_make(one->name).text);
    }
    return rc;
}

int an_info_statistics_text(const an_statistics *s, an_buffer *out)
{
    int rc = an_buffer_printf(out,
                              "  mean         %.2f %.2f %.2f (red, green, blue; 0 to 255)\n"
                              "  deviation    %.2f %.2f %.2f\n",
                              s->mean[0], s->mean[1], s->mean[2], s->deviation[0], s->deviation[1], s->deviation[2]);
    for (int i = 0; i < 3 && !rc; i++)
        rc = an_buffer_printf(out, "  eigenvalue   %.2f along %.4f %.4f %.4f\n", s->eigenvalue[i], s->eigenvector[i][0],
                              s->eigenvector[i][1], s->eigenvector[i][2]);
    return rc;
}

static int text_manifest(const an_dataset *dataset, an_buffer *out)
{
    const char *key;
    json_t *value, *manifest;
    int rc = load_manifest(dataset, &manifest);
    json_object_foreach(manifest, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        if (!rc)
            rc = text ? an_buffer_printf(out, "  %-16s %s\n", key, text) : an_error(AN_ENOMEM, "out of memory");
        free(text);
    }
    json_decref(manifest);
    return rc;
}

static int text_reject(void *context, const char *name, const char *reason, uint64_t bytes)
{
    an_buffer *out = context;
    int rc = an_buffer_printf(out, "    ");
    if (!rc)
        rc = an_utf8_show(name, strlen(name), out);
    return rc ? rc
              : an_buffer_printf(out, ": %s (%llu bytes)\n", an_shown_make(reason).text, (unsigned long long)bytes);
}

int an_info_text(const an_dataset *dataset, bool classes, an_buffer *out)
{
    totals t;
    int rc = count_records(dataset, &t);
    if (!rc)
        rc = text_records(dataset, &t, out);
    if (!rc)
        rc = text_classes(dataset, classes, out);
    if (!rc)
        rc = an_info_statistics_text(an_dataset_statistics(dataset), out);
    if (!rc)
        rc = an_buffer_printf(out, "  made from and with:\n");
    if (!rc)
        rc = text_manifest(dataset, out);
    if (!rc)
        rc = an_buffer_printf(out, "  set aside    %llu\n", (unsigned long long)an_dataset_reject_count(dataset));
    return rc ? rc : an_dataset_rejects(dataset, text_reject, out);
}
