/* Tars, read in place and never unpacked. A first pass over their headers gives the names, classes and sizes; then each
 * image is read from the tar as any file is. Where the class of an image comes from depends on what the tar holds:
 *   - tars inside the tar (ILSVRC2012_img_train.tar), or files in folders: the inner tar or folder
 *   - key.jpg with key.cls: webdataset, one tar or a folder of tars (shards): the .cls file
 *   - a folder of tars without .cls files: the tar
 *   - files in no folder (ILSVRC2012_img_val.tar): --devkit or --labels */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/archive/members_private.h"
#include "ingest/sources/archive/webdataset_private.h"
#include "ingest/sources/labels/truth_private.h"
#include "ingest/sources/listing_private.h"
#include "ingest/sources/source_private.h"

#define CLS_MAX 64 /* bytes; a larger .cls file is refused */

typedef struct {
    const an_source_options *options;
    an_listing *listing;
    an_members members;
    an_truth truth;
} tar_source;

static const char *name_of(const tar_source *s, uint64_t i)
{
    return an_members_text(&s->members, s->members.entries[i].name);
}

/* --- containers ------------------------------------------------------------------------------------------------ */

static int add_container(tar_source *s, const char *path, const char *prefix)
{
    uint32_t container;
    int rc = an_listing_add_file(s->listing, path, -1, &container);
    return rc ? rc : an_members_add(&s->members, path, container, prefix);
}

static int is_tar(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 4 && strcmp(entry->d_name + length - 4, ".tar") == 0;
}

/* Of a folder of tars: the prefix is the name without .tar. */
static int add_tar(void *context, const char *path, const char *name)
{
    char prefix[NAME_MAX + 1];
    snprintf(prefix, sizeof(prefix), "%.*s", (int)(strlen(name) - strlen(".tar")), name);
    return add_container(context, path, prefix);
}

/* --- items ----------------------------------------------------------------------------------------------------- */

static int add_item(tar_source *s, uint64_t i, const char *class_id)
{
    const an_member *member = &s->members.entries[i];
    uint32_t label;
    int rc = an_listing_class(s->listing, class_id, &label);
    return rc ? rc : an_listing_add(s->listing, name_of(s, i), label, member->container, member->offset, member->size);
}

static int add_by_folder(tar_source *s)
{
    int rc = AN_OK;
    for (uint64_t i = 0; i < s->members.count && !rc; i++)
        if (s->members.entries[i].class_id != AN_MEMBER_NO_CLASS)
            rc = add_item(s, i, an_members_text(&s->members, s->members.entries[i].class_id));
    return rc;
}

static int by_member_name(const void *a, const void *b, void *context)
{
    const tar_source *s = context;
    return strcmp(name_of(s, *(const uint64_t *)a), name_of(s, *(const uint64_t *)b));
}

static int add_by_truth(tar_source *s)
{
    uint64_t *order = malloc((s->members.count + 1) * sizeof(*order));
    if (!order)
        return an_error(AN_ENOMEM, "out of memory for the list of '%s'", s->options->path);
    for (uint64_t i = 0; i < s->members.count; i++)
        order[i] = i;
    qsort_r(order, s->members.count, sizeof(*order), by_member_name, s);
    int rc = an_truth_check_count(&s->truth, s->options->path, s->members.count);
    for (uint64_t i = 0; i < s->members.count && !rc; i++) {
        const char *label;
        rc = an_truth_find(&s->truth, name_of(s, order[i]), i, &label);
        if (!rc)
            rc = add_item(s, order[i], label);
    }
    free(order);
    return rc;
}

/* --- webdataset ------------------------------------------------------------------------------------------------ */

static int read_cls(const char *path, const an_member *member, char *out)
{
    if (!member->size || member->size >= CLS_MAX)
        return an_error(AN_ECORRUPT, "a .cls file of %llu bytes", (unsigned long long)member->size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return an_error_errno(errno, "cannot open '%s'", path);
    int rc = an_file_pread(fd, out, member->size, member->offset, path);
    close(fd);
    out[rc ? 0 : member->size] = 0;
    return rc;
}

/* Add the sample made of the members from first to end, which share a key. They may stand in any order. */
static int add_sample(tar_source *s, uint64_t first, uint64_t end)
{
    uint64_t image = end, cls = end;
    for (uint64_t i = first; i < end; i++) {
        if (an_webdataset_is_class(name_of(s, i)))
            cls = i;
        else if (an_webdataset_is_image(name_of(s, i)))
            image = i;
    }
    if (image == end)
        return AN_OK;
    if (cls == end)
        return an_error(AN_ECORRUPT, "'%s' has no .cls beside it", name_of(s, image));
    char text[CLS_MAX];
    const char *id = "";
    int rc = read_cls(an_listing_file(s->listing, s->members.entries[cls].container), &s->members.entries[cls], text);
    if (!rc)
        rc = an_webdataset_class(text, &id);
    return rc ? an_error_prefix(rc, "'%s'", name_of(s, cls)) : add_item(s, image, id);
}

static bool same_sample(const tar_source *s, uint64_t a, uint64_t b)
{
    return s->members.entries[a].container == s->members.entries[b].container &&
           an_webdataset_same_key(name_of(s, a), name_of(s, b));
}

static int add_samples(tar_source *s)
{
    int rc = AN_OK;
    for (uint64_t first = 0, end; first < s->members.count && !rc; first = end) {
        for (end = first + 1; end < s->members.count && same_sample(s, first, end);)
            end++;
        rc = add_sample(s, first, end);
    }
    return rc;
}

/* --- together -------------------------------------------------------------------------------------------------- */

static bool is_webdataset(const tar_source *s)
{
    for (uint64_t i = 0; i < s->members.count; i++)
        if (an_webdataset_is_class(name_of(s, i)))
            return true;
    return false;
}

static bool any_class(const tar_source *s)
{
    for (uint64_t i = 0; i < s->members.count; i++)
        if (s->members.entries[i].class_id != AN_MEMBER_NO_CLASS)
            return true;
    return false;
}

static int add_items(tar_source *s)
{
    if (is_webdataset(s))
        return add_samples(s);
    if (!s->options->labels && any_class(s))
        return add_by_folder(s);
    if (s->truth.count)
        return add_by_truth(s);
    return an_error(AN_EINVAL,
                    "the files in '%s' lie in no class folders: say their labels with --labels FILE or, for ImageNet's "
                    "validation set, --devkit ILSVRC2012_devkit_t12.tar.gz",
                    s->options->path);
}

static int fill(tar_source *s, bool folder)
{
    const an_source_options *options = s->options;
    int rc = an_truth_open(&s->truth, options->labels, options->synsets, options->devkit);
    if (!rc)
        rc =
            folder ? an_source_each_file(s->options->path, is_tar, add_tar, s) : add_container(s, s->options->path, "");
    if (!rc)
        rc = add_items(s);
    const an_classes *given = s->options->classes      ? s->options->classes
                              : s->truth.classes.count ? &s->truth.classes
                                                       : NULL;
    if (!rc) {
        rc = an_listing_resolve_classes(s->listing, given, true);
        if (rc)
            an_error_prefix(rc, "'%s'", s->options->path);
    }
    return rc ? rc : an_listing_seal(s->listing, s->options, 0);
}

static int open_source(an_source **out, const an_source_options *options, bool folder)
{
    tar_source s = {.options = options};
    int rc = an_listing_create(&s.listing, "tar", "");
    if (rc)
        return rc;
    rc = fill(&s, folder);
    an_members_free(&s.members);
    an_truth_free(&s.truth);
    if (rc)
        an_source_free(an_listing_source(s.listing));
    else
        *out = an_listing_source(s.listing);
    return rc;
}

static int open_tar(an_source **out, const an_source_options *options)
{
    return open_source(out, options, false);
}

static int open_shards(an_source **out, const an_source_options *options)
{
    return open_source(out, options, true);
}

static bool matches_tar(const an_source_probe *found)
{
    return found->head_size == 512 && memcmp(found->head + 257, "ustar", 5) == 0;
}

const an_source_kind an_source_tar = {
    .name = "tar",
    .description = "class folders, tars or webdataset in a tar; flat with --labels",
    .matches = matches_tar,
    .open = open_tar,
};

static bool matches_shards(const an_source_probe *found)
{
    return found->has_tars && !found->has_folders;
}

const an_source_kind an_source_shards = {
    .name = "shards",
    .description = "a folder of tars: webdataset shards, or one tar for each class",
    .matches = matches_shards,
    .open = open_shards,
};
