#include "ingest/sources/archive/members_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text/utf8.h"
#include "ingest/sources/archive/seen_private.h"
#include "ingest/sources/archive/tar_walk_private.h"

const char *an_members_path(const an_members *members, uint64_t i)
{
    return (const char *)members->texts.data + members->entries[i].path;
}

const char *an_members_text(const an_members *members, uint64_t i)
{
    return (const char *)members->texts.data + members->entries[i].text;
}

void an_members_free(an_members *members)
{
    free(members->entries);
    an_buffer_free(&members->texts);
    an_buffer_free(&members->prefix);
    an_buffer_free(&members->path);
    memset(members, 0, sizeof(*members));
}

/* --- growing --------------------------------------------------------------------------------------------------- */

/* Members without a text share one that is empty, at position 0. */
static int grow(an_members *members)
{
    if (members->count < members->capacity)
        return AN_OK;
    uint64_t capacity = members->capacity ? members->capacity + members->capacity / 2 : 1024;
    an_member *entries = realloc(members->entries, capacity * sizeof(*entries));
    if (!entries)
        return an_error(AN_ENOMEM, "out of memory for a list of %llu members", (unsigned long long)capacity);
    members->entries = entries;
    members->capacity = capacity;
    return members->texts.size ? AN_OK : an_buffer_append(&members->texts, "", 1);
}

static int add_text(an_members *members, const char *text, uint64_t *position)
{
    *position = members->texts.size;
    return an_buffer_append(&members->texts, text, strlen(text) + 1);
}

int an_members_append(an_members *members, const char *path, const char *text, an_member entry)
{
    int rc = grow(members);
    if (!rc)
        rc = add_text(members, path, &entry.path);
    if (!rc && text)
        rc = add_text(members, text, &entry.text);
    if (!rc)
        members->entries[members->count++] = entry;
    return rc;
}

int an_members_refuse(an_members *members, uint64_t i, const char *format, ...)
{
    char reason[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    members->entries[i].kind = AN_MEMBER_REFUSED;
    return add_text(members, reason, &members->entries[i].text);
}

/* --- walking --------------------------------------------------------------------------------------------------- */

static int visit(void *context, const an_tar_entry *entry);

static int walk(an_members *members, uint64_t offset, uint64_t size, const char *name)
{
    bool unended;
    int rc = an_tar_walk(members->fd, members->file, offset, size, visit, members, &unended);
    if (rc || !unended)
        return rc;
    if (!members->unended++) {
        size_t length = an_utf8_cut(name, strlen(name), sizeof(members->first_unended) - 1);
        memcpy(members->first_unended, name, length);
        members->first_unended[length] = 0;
    }
    return AN_OK;
}

/* Walk a tar inside the tar. ImageNet's training set has one for each class. */
static int enter(an_members *members, const an_tar_entry *entry)
{
    size_t before = members->prefix.size;
    int rc = an_buffer_printf(&members->prefix, "%.*s/", (int)(members->path.size - strlen(".tar") - before),
                              (const char *)members->path.data + before);
    members->depth++;
    if (!rc)
        rc = walk(members, entry->offset, entry->size, entry->name);
    if (rc < 0)
        an_error_prefix(rc, "'%s'", entry->name);
    members->depth--;
    members->prefix.size = before;
    members->prefix.data[before] = 0;
    return rc;
}

static bool is_tar(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t length = strlen(base);
    return length > 4 && strcmp(base + length - 4, ".tar") == 0;
}

static int add_member(an_members *members, const an_tar_entry *entry, bool left_out)
{
    static const an_member_kind kinds[] = {
        [AN_TAR_FILE] = AN_MEMBER_FILE,           [AN_TAR_FOLDER] = AN_MEMBER_FOLDER,
        [AN_TAR_HARD_LINK] = AN_MEMBER_HARD_LINK, [AN_TAR_SYMBOLIC_LINK] = AN_MEMBER_SYMBOLIC_LINK,
        [AN_TAR_SPARSE] = AN_MEMBER_REFUSED,      [AN_TAR_SPECIAL] = AN_MEMBER_REFUSED};
    an_member added = {.offset = entry->offset,
                       .size = entry->size,
                       .container = members->container,
                       .boundary = (uint32_t)members->prefix.size,
                       .kind = kinds[entry->kind],
                       .left_out = left_out};
    const char *text = entry->target;
    if (added.kind == AN_MEMBER_REFUSED)
        text = entry->kind == AN_TAR_SPARSE ? AN_TAR_SPARSE_REFUSED : AN_TAR_SPECIAL_REFUSED;
    return an_members_append(members, (const char *)members->path.data, text, added);
}

static int visit(void *context, const an_tar_entry *entry)
{
    an_members *members = context;
    int rc = an_place_normalise(&members->path, (const char *)members->prefix.data, entry->name,
                                entry->kind == AN_TAR_FOLDER);
    if (rc)
        return an_error_prefix(rc, "tar '%s'", members->file);
    if (!members->path.size)
        return AN_OK;
    const char *path = (const char *)members->path.data;
    bool left_out = an_place_is_left_out(path, &members->left);
    if (entry->kind == AN_TAR_FILE && is_tar(path) && !left_out && members->depth == 0)
        return enter(members, entry);
    return add_member(members, entry, left_out);
}

int an_members_add(an_members *members, const char *file, uint32_t container, const char *prefix)
{
    struct stat status;
    members->file = file;
    members->container = container;
    int rc = an_place_normalise(&members->prefix, prefix, "", true);
    if (rc)
        return rc;
    rc = an_file_open(&members->fd, file);
    if (rc)
        return rc;
    if (fstat(members->fd, &status))
        rc = an_error_errno(errno, "cannot look at '%s'", file);
    else
        rc = walk(members, 0, (uint64_t)status.st_size, file);
    close(members->fd);
    return rc;
}

/* --- finishing ------------------------------------------------------------------------------------------------- */

/* Does the member lie in one of these folders? Their paths end with "/". */
static bool lies_in(const an_seen *folders, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
        if (an_seen_has(folders, path, (size_t)(slash + 1 - path)))
            return true;
    return false;
}

/* Collect the folders with a dataset that was written before: they are no classes. */
static int find_datasets(an_members *members, an_seen *folders)
{
    int rc = AN_OK;
    for (uint64_t i = 0; i < members->count && !rc; i++) {
        const char *path = an_members_path(members, i), *slash = strrchr(path, '/');
        if (members->entries[i].left_out || !slash || !an_place_is_dataset_file(path) || lies_in(folders, path))
            continue;
        char folder[256];
        bool before;
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
        an_place_count_dataset(&members->left, folder);
        rc = an_seen_add(folders, path, (size_t)(slash + 1 - path), &before);
    }
    return rc;
}

int an_members_finish(an_members *members)
{
    an_seen folders = {0};
    int rc = find_datasets(members, &folders);
    for (uint64_t i = 0; i < members->count && folders.count && !rc; i++)
        members->entries[i].left_out |= lies_in(&folders, an_members_path(members, i));
    an_seen_free(&folders);
    return rc ? rc : an_members_resolve_links(members);
}

int an_members_refuse_repeated(an_members *members)
{
    an_seen seen = {0};
    int rc = AN_OK;
    for (uint64_t i = 0; i < members->count && !rc; i++) {
        bool before = false;
        const char *path = an_members_path(members, i);
        if (members->entries[i].kind == AN_MEMBER_FILE && !members->entries[i].left_out)
            rc = an_seen_add(&seen, path, strlen(path), &before);
        if (before)
            rc = an_members_refuse(members, i, AN_MEMBERS_REPEATED);
    }
    an_seen_free(&seen);
    return rc;
}

/* --- base ------------------------------------------------------------------------------------------------------ */

/* Look at the folders that lie directly in base: is there one only, with files in folders inside, that is no tar? Then
 * add it to base; AN_END otherwise. */
static int descend(const an_members *members, an_buffer *base)
{
    const char *only = NULL;
    size_t length = 0;
    bool deeper = false;
    for (uint64_t i = 0; i < members->count; i++) {
        const char *path = an_members_path(members, i);
        if (members->entries[i].left_out || strncmp(path, (const char *)base->data, base->size) != 0)
            continue;
        const char *part = path + base->size, *slash = strchr(part, '/');
        if (!slash)
            continue;
        size_t end = (size_t)(slash + 1 - part);
        bool other = only && (end != length || memcmp(part, only, length) != 0);
        if (other || base->size + end == members->entries[i].boundary)
            return AN_END;
        only = part;
        length = end;
        deeper |= members->entries[i].kind != AN_MEMBER_FOLDER && strchr(slash + 1, '/');
    }
    return deeper ? an_buffer_printf(base, "%.*s", (int)length, only) : AN_END;
}

int an_members_base(const an_members *members, an_buffer *base)
{
    base->size = 0;
    int rc = an_buffer_printf(base, "%s", "");
    while (!rc)
        rc = descend(members, base);
    return rc == AN_END ? AN_OK : rc;
}
