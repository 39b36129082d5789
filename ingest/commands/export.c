#include "ingest/commands/export.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/png.h"
#include "base/program/progress.h"
#include "base/program/stop.h"
#include "ingest/commands/each.h"
#include "store/codec.h"

typedef struct {
    const an_dataset *dataset;
    const char *folder;
    an_each_worker worker; /* decoder and image buffer */
    an_encoder *encoder;   /* for its conversions */
    an_buffer path, bytes, name;
} exporter;

/* Can the class id be a folder's name, and an id in classes.tsv? One with a slash, for example, could lead out of the
 * export folder; a hidden folder would be left out, and a line that begins with "#" would be a comment. */
static bool is_plain_name(const char *id)
{
    size_t length = strlen(id);
    return length && length <= NAME_MAX && !strchr(".# ", *id) && id[length - 1] != ' ' && !strpbrk(id, "/\t\r\n");
}

/* The name of a class's folder: it stays valid until the next call. */
static int name_class(const an_dataset *dataset, uint32_t label, an_buffer *name)
{
    const an_class *one = an_dataset_class(dataset, label);
    name->size = 0;
    if (one && is_plain_name(one->id))
        return an_buffer_printf(name, "%s", one->id);
    return an_buffer_printf(name, "class-%u", label);
}

static int class_folder(exporter *e, uint32_t label)
{
    int rc = name_class(e->dataset, label, &e->name);
    e->path.size = 0;
    if (!rc)
        rc = an_buffer_printf(&e->path, "%s/%s", e->folder, (const char *)e->name.data);
    return rc ? rc : an_file_make_folder((char *)e->path.data);
}

/* Put the file's bytes into e->bytes. *suffix: "jpg" or "png". */
static int make_file(exporter *e, uint64_t index, const char **suffix)
{
    an_record record;
    e->bytes.size = 0;
    *suffix = "jpg";
    int rc = an_each_decode(e->dataset, &e->worker, index, &record);
    if (rc)
        return rc;
    if (an_codec_lossless(record.header.codec, AN_CODEC_JPEG))
        return an_encoder_convert(e->encoder, record.header.codec, record.payload, record.header.length, AN_CODEC_JPEG,
                                  &e->bytes);
    *suffix = "png";
    const an_image *image = &e->worker.image;
    return an_png_write(image->pixels, AN_PNG_RGB, image->width, image->height, (size_t)3 * image->width, &e->bytes);
}

static int write_file(const char *path, const an_buffer *bytes)
{
    FILE *file = fopen(path, "wbx");
    if (!file)
        return an_error_errno(errno, "cannot create '%s'", path);
    size_t written = fwrite(bytes->data, 1, bytes->size, file);
    int failed = written != bytes->size ? errno : 0;
    if (fclose(file) && !failed)
        failed = errno;
    return failed ? an_error_errno(failed, "cannot write '%s'", path) : AN_OK;
}

static int export_record(exporter *e, uint64_t index)
{
    const char *suffix;
    int rc = make_file(e, index, &suffix);
    if (rc)
        return an_error_prefix(rc, "record %llu", (unsigned long long)index);
    rc = class_folder(e, an_dataset_index(e->dataset)[index].label);
    if (!rc)
        rc = an_buffer_printf(&e->path, "/%08llu.%s", (unsigned long long)index, suffix);
    return rc ? rc : write_file((char *)e->path.data, &e->bytes);
}

/* Every class gets its folder, also without an image: labels are positions among the folders. */
static int write_classes(exporter *e)
{
    int rc = AN_OK;
    e->bytes.size = 0;
    for (uint32_t i = 0; i < an_dataset_class_count(e->dataset) && !rc; i++) {
        const an_class *one = an_dataset_class(e->dataset, i);
        rc = class_folder(e, i);
        if (!rc)
            rc = an_buffer_printf(&e->bytes, "%s\t%s\n", (const char *)e->name.data, one->name);
    }
    e->path.size = 0;
    if (!rc)
        rc = an_buffer_printf(&e->path, "%s/classes.tsv", e->folder);
    return rc ? rc : write_file((char *)e->path.data, &e->bytes);
}

static int export_all(exporter *e, const an_export_options *options, uint64_t *written)
{
    uint64_t end = an_dataset_count(e->dataset);
    if (options->count && options->count < end - options->first)
        end = options->first + options->count;
    an_progress progress;
    an_progress_start(&progress, "export", "records", 0, end - options->first, options->quiet);
    int rc = AN_OK;
    for (uint64_t i = options->first; i < end && !rc; i++) {
        rc = an_stop_requested() ? AN_STOPPED : export_record(e, i);
        *written += !rc;
        an_progress_update(&progress, *written, NULL);
    }
    an_progress_finish(&progress, *written, NULL);
    return rc ? rc : write_classes(e);
}

int an_export(const an_dataset *dataset, const char *folder, const an_export_options *options, uint64_t *written)
{
    exporter e = {.dataset = dataset, .folder = folder};
    *written = 0;
    if (options->first >= an_dataset_count(dataset))
        return an_error(AN_EINVAL, "--first %llu: there are only %llu records", (unsigned long long)options->first,
                        (unsigned long long)an_dataset_count(dataset));
    if (access(folder, F_OK) == 0)
        return an_error(AN_EINVAL, "'%s' exists: remove it or choose another name", folder);
    int rc = an_decoder_create(&e.worker.decoder);
    if (!rc)
        rc = an_encoder_create(&e.encoder);
    if (!rc)
        rc = an_file_make_folder(folder);
    if (!rc)
        rc = export_all(&e, options, written);
    an_decoder_free(e.worker.decoder);
    an_image_free(&e.worker.image);
    an_encoder_free(e.encoder);
    an_buffer_free(&e.path);
    an_buffer_free(&e.bytes);
    an_buffer_free(&e.name);
    return rc;
}

int an_export_keeps_labels(const an_dataset *dataset, bool *keeps)
{
    an_buffer before = {0}, now = {0};
    int rc = AN_OK;
    *keeps = true;
    for (uint32_t i = 0; i < an_dataset_class_count(dataset) && !rc && *keeps; i++) {
        rc = name_class(dataset, i, &now);
        *keeps = !rc && (i == 0 || strcmp((const char *)before.data, (const char *)now.data) < 0);
        an_buffer swapped = before;
        before = now;
        now = swapped;
    }
    an_buffer_free(&before);
    an_buffer_free(&now);
    return rc;
}
