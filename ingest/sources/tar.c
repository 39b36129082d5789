/* Tars, read in place and never unpacked. A first pass over their headers gives the names, classes and sizes; then each
 * image is read from the tar as any file is. Where the class of an image comes from depends on what the tar holds:
 *   - tars inside the tar (ILSVRC2012_img_train.tar), or files in folders: the inner tar, or the folder that is one of
 *     several at the top (archive/place.h)
 *   - key.jpg with key.cls: webdataset, one tar or a folder of tars (shards): the .cls file
 *   - a folder of tars without .cls files: the tar
 *   - files in no folder (ILSVRC2012_img_val.tar): --devkit or --labels */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/sources/archive/note.h"
#include "ingest/sources/archive/webdataset_private.h"
#include "ingest/sources/source_private.h"
#include "ingest/sources/tar_private.h"

const char *an_tar_name(const an_tar_source *s, uint64_t i)
{
    return an_members_path(&s->members, i);
}

bool an_tar_is_input(const an_member *member)
{
    return !member->left_out && (member->kind == AN_MEMBER_FILE || member->kind == AN_MEMBER_REFUSED);
}

/* --- containers ------------------------------------------------------------------------------------------------ */

static int add_container(an_tar_source *s, const char *path, const char *prefix)
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

int an_tar_add(an_tar_source *s, uint64_t i, const char *class_id)
{
    const an_member *member = &s->members.entries[i];
    uint32_t label;
    if (member->kind == AN_MEMBER_REFUSED)
        return an_listing_refuse(s->listing, an_tar_name(s, i), member->size, an_members_text(&s->members, i));
    int rc = an_listing_class(s->listing, class_id, &label);
    return rc ? rc
              : an_listing_add(s->listing, an_tar_name(s, i), label, member->container, member->offset, member->size);
}

int an_tar_refuse(an_tar_source *s, uint64_t i, const char *reason)
{
    return an_listing_refuse(s->listing, an_tar_name(s, i), s->members.entries[i].size, reason);
}

/* --- classes from folders -------------------------------------------------------------------------------------- */

/* Find the folder that holds the class folders. With given classes it is the one that the first known class lies in, as
 * in a stream. */
static int find_base(an_tar_source *s, an_buffer *base)
{
    int rc = AN_END;
    if (!s->options->classes)
        return an_members_base(&s->members, base);
    for (uint64_t i = 0; i < s->members.count && rc == AN_END; i++)
        if (an_tar_is_input(&s->members.entries[i]))
            rc = an_place_learn(base, an_tar_name(s, i), s->members.entries[i].boundary, s->options->classes);
    return rc == AN_END ? an_members_base(&s->members, base) : rc;
}

/* Add the member, or only its class if it is a folder. */
static int place_member(an_tar_source *s, uint64_t i, const char *base, an_buffer *class_id)
{
    const an_member *member = &s->members.entries[i];
    const char *start;
    size_t length;
    uint32_t label;
    bool input = an_tar_is_input(member), folder = member->kind == AN_MEMBER_FOLDER && !member->left_out;
    if (!input && !folder)
        return AN_OK;
    int rc = an_place_class(base, an_tar_name(s, i), &start, &length);
    if (rc == AN_END && member->kind == AN_MEMBER_REFUSED) /* a link may have stood for a class */
        return an_tar_add(s, i, "");
    if (rc == AN_END)
        return input && an_place_is_image(an_tar_name(s, i)) ? an_tar_refuse(s, i, AN_PLACE_BESIDE) : AN_OK;
    class_id->size = 0;
    rc = an_buffer_printf(class_id, "%.*s", (int)length, start);
    if (rc)
        return rc;
    rc = an_listing_class(s->listing, (const char *)class_id->data, &label);
    return rc || folder ? rc : an_tar_add(s, i, (const char *)class_id->data);
}

static int add_by_folder(an_tar_source *s)
{
    an_buffer base = {0}, class_id = {0};
    int rc = an_members_refuse_repeated(&s->members);
    if (!rc)
        rc = find_base(s, &base);
    for (uint64_t i = 0; i < s->members.count && !rc; i++)
        rc = place_member(s, i, (const char *)base.data, &class_id);
    an_buffer_free(&base);
    an_buffer_free(&class_id);
    return rc;
}

/* --- together -------------------------------------------------------------------------------------------------- */

static bool is_webdataset(const an_tar_source *s)
{
    for (uint64_t i = 0; i < s->members.count; i++)
        if (an_tar_is_input(&s->members.entries[i]) && an_webdataset_is_class(an_tar_name(s, i)))
            return true;
    return false;
}

static bool any_folder(const an_tar_source *s)
{
    for (uint64_t i = 0; i < s->members.count; i++)
        if (an_tar_is_input(&s->members.entries[i]) && strchr(an_tar_name(s, i), '/'))
            return true;
    return false;
}

static int add_items(an_tar_source *s)
{
    s->numbers = true;
    if (is_webdataset(s) && s->options->labels)
        return an_error(AN_EINVAL, "--labels '%s': '%s' is a webdataset, whose classes are in its .cls files",
                        s->options->labels, s->options->path);
    if (is_webdataset(s))
        return an_tar_add_samples(s);
    bool flat = s->options->labels != NULL;
    int rc = s->options->devkit && !flat ? an_tar_is_flat_within(s, &flat) : AN_OK;
    if (rc)
        return rc;
    if (!flat && any_folder(s)) {
        s->numbers = false;
        return add_by_folder(s);
    }
    if (s->truth.count)
        return an_tar_add_by_truth(s);
    return an_error(AN_ECORRUPT,
                    "the files in '%s' lie in no class folders: say their labels with --labels FILE or, for ImageNet's "
                    "validation set, --devkit ILSVRC2012_devkit_t12.tar.gz",
                    s->options->path);
}

static int note(an_tar_source *s)
{
    const an_members *members = &s->members;
    an_buffer *notes = &an_listing_source(s->listing)->notes;
    int rc = an_place_describe(&members->left, notes);
    if (!rc && members->unended)
        rc = an_note(notes, "tar '%s'%s has no mark at its end: it may be cut short", members->first_unended,
                     members->unended > 1 ? " and others" : "");
    return rc;
}

static int fill(an_tar_source *s, bool folder)
{
    const an_source_options *options = s->options;
    int rc = an_truth_open(&s->truth, options->labels, options->synsets, options->devkit);
    if (!rc)
        rc =
            folder ? an_source_each_file(s->options->path, is_tar, add_tar, s) : add_container(s, s->options->path, "");
    if (!rc)
        rc = an_members_finish(&s->members);
    if (!rc)
        rc = note(s);
    if (!rc)
        rc = add_items(s);
    const an_classes *given = s->options->classes      ? s->options->classes
                              : s->truth.classes.count ? &s->truth.classes
                                                       : NULL;
    if (!rc) {
        rc = an_listing_resolve_classes(s->listing, given, s->numbers);
        if (rc)
            an_error_prefix(rc, "'%s'", s->options->path);
    }
    return rc ? rc : an_listing_seal(s->listing, s->options, 0);
}

static int open_source(an_source **out, const an_source_options *options, bool folder)
{
    an_tar_source s = {.options = options};
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
    return an_source_is_tar(found->head, found->head_size);
}

const an_source_kind an_source_tar = {
    .name = "tar",
    .description = "class folders, tars or webdataset in a tar; flat with --labels",
    .labels = true,
    .devkit = true,
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
    .labels = true,
    .devkit = true,
    .matches = matches_shards,
    .open = open_shards,
};
