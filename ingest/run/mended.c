#include "ingest/run/again_private.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/run/manifest_private.h"

#define PREFIX "sizes-"

static int path_of(const an_mended *m, const char *hash, an_buffer *out)
{
    return an_buffer_printf(out, "%s.partial/" PREFIX "%s", m->destination, hash);
}

static int text_of(uint64_t identity, an_buffer *out)
{
    return an_buffer_printf(out, "%016" PRIx64, identity);
}

/* The source's hash in the manifest; empty if there is none. */
static int listing_of(const char *manifest, an_buffer *out)
{
    json_t *object = json_loads(manifest, 0, NULL);
    const char *hash = json_string_value(json_object_get(object, "listing"));
    int rc = an_buffer_printf(out, "%s", hash ? hash : "");
    json_decref(object);
    return rc;
}

/* Of all that differs when inputs were added or removed, their number says most. */
static int check_count(const an_mended *m, const char *manifest)
{
    json_t *object = json_loads(manifest, 0, NULL);
    const json_t *items = json_object_get(object, "items");
    json_int_t before = json_integer_value(items), now = (json_int_t)m->source->items;
    bool differs = items && before != now;
    json_decref(object);
    if (!differs)
        return AN_OK;
    return an_error(AN_EINVAL, "the source had %lld inputs and has %lld now", (long long)before, (long long)now);
}

/* The sizes that the inputs had, in the order in which they are read. *out is empty if the file for this manifest is
 * not there or holds another number of inputs. */
static int read_sizes(const an_mended *m, const char *before, an_buffer *out)
{
    an_buffer hash = {0}, path = {0};
    size_t expected = m->source->items * sizeof(uint64_t);
    int rc = listing_of(before, &hash);
    if (!rc)
        rc = path_of(m, (const char *)hash.data, &path);
    if (!rc)
        rc = an_file_read((const char *)path.data, expected, out);
    if (rc == AN_ENOTFOUND || rc == AN_ECORRUPT)
        rc = AN_OK;
    if (out->size != expected)
        out->size = 0;
    an_buffer_free(&hash);
    an_buffer_free(&path);
    return rc;
}

/* What was read and became a record must have the size that it had then. */
static int check_read(const an_mended *m, an_writer *writer, const uint64_t *sizes)
{
    an_again_names names;
    uint64_t read = an_writer_position(writer), size;
    int rc = an_again_names_list(&names, writer);
    for (uint64_t i = 0; i < read && i < m->source->items && !rc; i++) {
        const char *name = m->source->operations->input(m->source, i, &size);
        if (size != sizes[i] && !an_again_names_has(&names, name))
            rc = an_error(AN_EINVAL, "'%s' was read when it had %" PRIu64 " bytes and has %" PRIu64 " now", name,
                          sizes[i], size);
    }
    an_again_names_free(&names);
    return rc;
}

int an_mended_manifest(void *mended, an_writer *writer, const char *before, char **out)
{
    an_mended *m = mended;
    m->changed = true;
    an_source then = *m->source; /* only what the manifest is made of is used */
    an_buffer sizes = {0}, was = {0}, is = {0};
    int rc = check_count(m, before);
    if (!rc && m->source->operations->input)
        rc = read_sizes(m, before, &sizes);
    const uint64_t *values = (const uint64_t *)(const void *)sizes.data;
    if (!rc && sizes.size)
        rc = m->source->operations->identity_with(m->source, values, &then.identity, &then.bytes);
    if (!rc)
        rc = an_ingest_manifest_make(m->config, &then, out);
    if (!rc)
        rc = listing_of(before, &was);
    if (!rc)
        rc = text_of(then.identity, &is);
    if (!rc && sizes.size && strcmp((char *)was.data, (char *)is.data) == 0)
        rc = check_read(m, writer, values);
    an_buffer_free(&sizes);
    an_buffer_free(&was);
    an_buffer_free(&is);
    return rc;
}

static int write_sizes(const an_mended *m, const char *path)
{
    uint64_t items = m->source->items, *sizes = malloc((items + 1) * sizeof(*sizes));
    if (!sizes)
        return an_error(AN_ENOMEM, "out of memory for the sizes of %" PRIu64 " inputs", items);
    for (uint64_t i = 0; i < items; i++)
        (void)m->source->operations->input(m->source, i, &sizes[i]);
    int rc = an_file_replace(path, sizes, items * sizeof(*sizes));
    free(sizes);
    return rc;
}

/* Remove all files of sizes but the one called `but`. */
static int remove_files(const an_mended *m, const char *but)
{
    an_buffer path = {0};
    int rc = an_buffer_printf(&path, "%s.partial", m->destination);
    DIR *folder = rc ? NULL : opendir((const char *)path.data);
    if (!rc && !folder)
        rc = an_error_errno(errno, "cannot read folder '%s'", (const char *)path.data);
    for (const struct dirent *entry; !rc && (entry = readdir(folder));) {
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 || strcmp(entry->d_name, but) == 0)
            continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0))
            rc = an_error_errno(errno, "cannot remove '%s/%s'", (const char *)path.data, entry->d_name);
    }
    if (folder)
        closedir(folder);
    an_buffer_free(&path);
    return rc;
}

int an_mended_remember(const an_mended *m, an_writer *writer)
{
    an_buffer name = {0}, hash = {0}, path = {0};
    if (!m->source->operations->input)
        return AN_OK;
    int rc = text_of(m->source->identity, &hash);
    if (!rc)
        rc = an_buffer_printf(&name, PREFIX "%s", (const char *)hash.data);
    if (!rc)
        rc = path_of(m, (const char *)hash.data, &path);
    if (!rc && access((const char *)path.data, F_OK) != 0)
        rc = write_sizes(m, (const char *)path.data);
    if (!rc && m->changed)
        rc = an_writer_commit(writer);
    if (!rc && m->changed)
        rc = remove_files(m, (const char *)name.data);
    an_buffer_free(&name);
    an_buffer_free(&hash);
    an_buffer_free(&path);
    return rc;
}

int an_mended_forget(const an_mended *m)
{
    return remove_files(m, "");
}
