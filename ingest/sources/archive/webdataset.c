#include "ingest/sources/archive/webdataset_private.h"

#include <string.h>

#include "base/error.h"
#include "base/text/utf8.h"
#include "ingest/sources/archive/note.h"
#include "ingest/sources/archive/place.h"

#define BLANKS " \t\r\n"

/* ".jpg", ".seg.png"; "" if there is none. */
static const char *extension_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strchr(slash ? slash : path, '.');
    return dot ? dot : path + strlen(path);
}

static size_t key_of(const char *path)
{
    return (size_t)(extension_of(path) - path);
}

bool an_webdataset_same_key(const char *a, const char *b)
{
    size_t length = key_of(a);
    return length == key_of(b) && memcmp(a, b, length) == 0;
}

bool an_webdataset_is_class(const char *path)
{
    return strcmp(extension_of(path), ".cls") == 0;
}

const char *an_webdataset_class(char *text, size_t size, const char **class_id)
{
    if (size >= AN_WEBDATASET_CLASS_MAX)
        return AN_WEBDATASET_LARGE;
    if (memchr(text, 0, size))
        return AN_WEBDATASET_NO_TEXT;
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        text += 3;
    text += strspn(text, BLANKS);
    size_t length = strcspn(text, "\r\n");
    if (text[length + strspn(text + length, BLANKS)])
        return AN_WEBDATASET_LINES;
    while (length && strchr(BLANKS, text[length - 1]))
        length--;
    text[length] = 0;
    *class_id = text;
    return length ? NULL : AN_WEBDATASET_EMPTY;
}

static void keep(uint64_t *count, char *first, size_t room, const char *path)
{
    if ((*count)++)
        return;
    size_t length = an_utf8_cut(path, strlen(path), room - 1);
    memcpy(first, path, length);
    first[length] = 0;
}

static void keep_spare(an_sample *sample, const char *path)
{
    keep(&sample->spare, sample->first_spare, sizeof(sample->first_spare), path);
}

static int set_path(an_sample *sample, const char *path)
{
    sample->path.size = 0;
    sample->key = key_of(path);
    return an_buffer_printf(&sample->path, "%s", path);
}

static bool is_empty(const an_sample *sample)
{
    return !sample->image && !sample->has_class;
}

static int add_class(an_sample *sample, const char *path, an_sample_role *role)
{
    *role = sample->has_class ? AN_SAMPLE_NEXT : AN_SAMPLE_CLASS;
    if (sample->has_class)
        return AN_OK;
    sample->has_class = true;
    return sample->image ? AN_OK : set_path(sample, path);
}

static int add_image(an_sample *sample, const char *path, int rank, an_sample_role *role)
{
    const char *before = (const char *)sample->path.data;
    if (sample->image && strcmp(before, path) == 0) {
        *role = AN_SAMPLE_NEXT;
        return AN_OK;
    }
    if (rank <= sample->image) {
        *role = rank == 2 ? AN_SAMPLE_SECOND : AN_SAMPLE_OTHER;
        sample->several |= sample->image == 1;
        if (rank == 1)
            keep_spare(sample, path);
        return AN_OK;
    }
    if (sample->image)
        keep_spare(sample, before);
    *role = AN_SAMPLE_IMAGE;
    sample->image = rank;
    return set_path(sample, path);
}

int an_sample_add(an_sample *sample, const char *path, an_sample_role *role)
{
    bool is_class = an_webdataset_is_class(path), image = an_place_is_image(path);
    *role = AN_SAMPLE_OTHER;
    if (!is_empty(sample) && !an_webdataset_same_key((const char *)sample->path.data, path)) {
        *role = AN_SAMPLE_NEXT;
        return AN_OK;
    }
    if (is_class)
        return add_class(sample, path, role);
    if (!image)
        return AN_OK;
    const char *extension = extension_of(path);
    return add_image(sample, path, strchr(extension + 1, '.') ? 1 : 2, role);
}

static const char *fault_of(const an_sample *sample)
{
    if (!sample->image)
        return "no image with the ending of a known format beside it: the members of a sample must stand together (tar "
               "--sort=name)";
    if (!sample->has_class)
        return "no .cls beside it: the members of a sample must stand together (tar --sort=name)";
    if (sample->image == 1 && sample->several)
        return "the sample has several images, and none is called by its key alone";
    return NULL;
}

int an_sample_finish(an_sample *sample, const char **reason)
{
    bool lone = !sample->image || !sample->has_class, before = false;
    const char *path = (const char *)sample->path.data;
    if (is_empty(sample))
        return AN_END;
    *reason = fault_of(sample);
    int rc = *reason ? AN_OK : an_seen_add(&sample->keys, path, sample->key, &before);
    if (before)
        *reason = "its key came before in the tar: the first sample of that key is taken";
    if (lone)
        keep(&sample->lone, sample->first_lone, sizeof(sample->first_lone), path);
    sample->image = 0;
    sample->has_class = sample->several = false;
    if (rc)
        return rc;
    return *reason ? AN_AGAIN : AN_OK;
}

int an_sample_describe(const an_sample *sample, an_buffer *out)
{
    int rc = AN_OK;
    if (sample->lone)
        rc = an_note(out,
                     "set aside: %llu members of a webdataset without their image or .cls, such as '%s': the "
                     "members of a sample must stand together (tar --sort=name)",
                     (unsigned long long)sample->lone, sample->first_lone);
    if (!rc && sample->spare)
        rc = an_note(out, "left out: %llu further images of webdataset samples, such as '%s'",
                     (unsigned long long)sample->spare, sample->first_spare);
    return rc;
}

void an_sample_free(an_sample *sample)
{
    an_buffer_free(&sample->path);
    an_seen_free(&sample->keys);
}
