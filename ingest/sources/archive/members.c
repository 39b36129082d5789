#include "ingest/sources/archive/members_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "ingest/sources/archive/tar_walk_private.h"

const char *an_members_text(const an_members *members, uint64_t position)
{
    return (const char *)members->texts.data + position;
}

void an_members_free(an_members *members)
{
    free(members->entries);
    an_buffer_free(&members->texts);
    memset(members, 0, sizeof(*members));
}

static int add_text(an_members *members, const char *text, size_t length, uint64_t *position)
{
    *position = members->texts.size;
    int rc = an_buffer_append(&members->texts, text, length);
    return rc ? rc : an_buffer_append(&members->texts, "", 1);
}

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* *class_id: the innermost folder in name, or AN_MEMBER_NO_CLASS. */
static int folder_class(an_members *members, const char *name, uint64_t *class_id)
{
    const char *end = strrchr(name, '/'), *start = end;
    *class_id = AN_MEMBER_NO_CLASS;
    if (!end)
        return AN_OK;
    while (start > name && start[-1] != '/')
        start--;
    if (end - start == 1 && *start == '.') /* "./image.jpg" lies in no folder */
        return AN_OK;
    return add_text(members, start, (size_t)(end - start), class_id);
}

static int grow(an_members *members)
{
    if (members->count < members->capacity)
        return AN_OK;
    uint64_t capacity = members->capacity ? members->capacity + members->capacity / 2 : 1024;
    an_member *entries = realloc(members->entries, capacity * sizeof(*entries));
    if (!entries)
        return an_error(AN_ENOMEM, "out of memory for the list of '%s'", members->path);
    members->entries = entries;
    members->capacity = capacity;
    return AN_OK;
}

static int add_member(an_members *members, const char *name, uint64_t offset, uint64_t size)
{
    an_member added = {
        .offset = offset, .size = size, .class_id = members->inner_class, .container = members->container};
    int rc = grow(members);
    if (!rc && added.class_id == AN_MEMBER_NO_CLASS)
        rc = folder_class(members, name, &added.class_id);
    if (rc)
        return rc;
    added.name = members->texts.size;
    size_t prefix = strlen(an_members_text(members, members->prefix)), length = strlen(name) + 1;
    rc = an_buffer_reserve(&members->texts, members->texts.size + prefix + 1 + length);
    if (rc)
        return rc;
    uint8_t *at = members->texts.data + added.name; /* the prefix lies in this very buffer: an append could move it */
    memcpy(at, an_members_text(members, members->prefix), prefix);
    at[prefix] = '/';
    prefix += prefix > 0;
    memcpy(at + prefix, name, length);
    members->texts.size += prefix + length;
    members->entries[members->count++] = added;
    return AN_OK;
}

static int visit(void *context, const char *name, uint64_t offset, uint64_t size);

/* Walk a tar inside the tar. ImageNet's training set has one for each class. */
static int enter(an_members *members, const char *name, uint64_t offset, uint64_t size)
{
    const char *base = last_part(name);
    size_t length = strlen(base) - strlen(".tar");
    uint64_t prefix = members->prefix, inner_class = members->inner_class;
    int rc = add_text(members, base, length, &members->inner_class);
    members->prefix = members->inner_class;
    members->depth++;
    if (!rc)
        rc = an_tar_walk(members->fd, members->path, offset, size, visit, members);
    if (rc < 0)
        an_error_prefix(rc, "'%s'", name);
    members->depth--;
    members->prefix = prefix;
    members->inner_class = inner_class;
    return rc;
}

static int visit(void *context, const char *name, uint64_t offset, uint64_t size)
{
    an_members *members = context;
    const char *base = last_part(name);
    size_t length = strlen(base);
    if (base[0] == '.' || !length) /* hidden files, "._" leftovers of macOS */
        return AN_OK;
    if (length > 4 && strcmp(base + length - 4, ".tar") == 0 && members->depth == 0)
        return enter(members, name, offset, size);
    return add_member(members, strncmp(name, "./", 2) ? name : name + 2, offset, size);
}

int an_members_add(an_members *members, const char *path, uint32_t container, const char *prefix)
{
    struct stat status;
    members->path = path;
    members->container = container;
    int rc = add_text(members, prefix, strlen(prefix), &members->prefix);
    if (rc)
        return rc;
    members->inner_class = *prefix ? members->prefix : AN_MEMBER_NO_CLASS;
    members->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (members->fd < 0)
        return an_error_errno(errno, "cannot open '%s'", path);
    if (fstat(members->fd, &status))
        rc = an_error_errno(errno, "cannot look at '%s'", path);
    else
        rc = an_tar_walk(members->fd, path, 0, (uint64_t)status.st_size, visit, members);
    close(members->fd);
    return rc;
}
