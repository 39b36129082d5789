/* Links among the members of tars. A link to a file becomes that file under the link's own path; a link to a folder
 * becomes copies of all that lies in the folder, as it would if the tar were unpacked and the folder walked. A target
 * may stand before or behind the link, and may be left out itself (hidden). What points to nothing in the tars is
 * refused. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text/utf8.h"
#include "ingest/sources/archive/members_private.h"

#define HOPS_MAX 40   /* links followed for one path, as many as the kernel follows */
#define NESTED_MAX 40 /* folders reached through links within each other */
/* Copies of members: links to folders full of links to folders multiply. Where the tar itself has many members, there
 * may be more. */
#define COPIES_BASE ((uint64_t)100000)
#define COPIES_EACH 8

typedef enum { NO_LINK, TO_FILE, TO_REFUSED, TO_FOLDER, TO_NOTHING, IN_CIRCLES } outcome;

typedef struct {
    an_members *members;
    uint64_t *order; /* the members as they were before, sorted by path */
    uint8_t *outcomes;
    uint64_t count;
    an_buffer open[NESTED_MAX]; /* folders of the links whose target is being copied */
    int nested;
} links;

static bool is_link(const an_member *member)
{
    return member->kind == AN_MEMBER_HARD_LINK || member->kind == AN_MEMBER_SYMBOLIC_LINK;
}

/* --- finding --------------------------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b, void *context)
{
    uint64_t i = *(const uint64_t *)a, j = *(const uint64_t *)b;
    int order = strcmp(an_members_path(context, i), an_members_path(context, j));
    if (order)
        return order;
    return i < j ? -1 : i > j;
}

/* Position in order of the first path that is not before the first length bytes of text. */
static uint64_t lower_bound(const links *l, const char *text, size_t length)
{
    uint64_t low = 0, high = l->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (strncmp(an_members_path(l->members, l->order[middle]), text, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool begins_at(const links *l, uint64_t at, const char *text, size_t length)
{
    return at < l->count && strncmp(an_members_path(l->members, l->order[at]), text, length) == 0;
}

/* The member whose path is these length bytes: it stands before all that begin with them. UINT64_MAX: there is none. */
static uint64_t find(const links *l, const char *path, size_t length)
{
    uint64_t at = lower_bound(l, path, length);
    if (!begins_at(l, at, path, length) || an_members_path(l->members, l->order[at])[length])
        return UINT64_MAX;
    return l->order[at];
}

/* --- following ------------------------------------------------------------------------------------------------- */

/* Append what the link i points to. A hard link names a path in its tar, a symbolic one a path seen from its folder. */
static int target_of(const links *l, uint64_t i, an_buffer *out)
{
    const an_member *link = &l->members->entries[i];
    const char *path = an_members_path(l->members, i), *target = an_members_text(l->members, i);
    const char *slash = strrchr(path, '/');
    size_t from = link->boundary;
    if (link->kind == AN_MEMBER_SYMBOLIC_LINK && *target != '/')
        from = slash ? (size_t)(slash + 1 - path) : 0;
    return an_buffer_printf(out, "%.*s/%s", (int)from, path, target);
}

/* The first link on the way along path, and how many bytes of path name it. UINT64_MAX: there is none. */
static uint64_t link_on_the_way(const links *l, const char *path, size_t *length)
{
    for (size_t end = strcspn(path, "/");; end += 1 + strcspn(path + end + 1, "/")) {
        uint64_t found = find(l, path, end);
        *length = end;
        if (found != UINT64_MAX && is_link(&l->members->entries[found]))
            return found;
        if (!path[end])
            return UINT64_MAX;
    }
}

/* Replace path by what it is when all links on the way are followed. AN_AGAIN: they go in circles. */
static int follow(const links *l, an_buffer *path)
{
    an_buffer next = {0};
    int rc = AN_OK, hops = 0;
    for (;;) {
        size_t length;
        uint64_t link = link_on_the_way(l, (const char *)path->data, &length);
        if (link == UINT64_MAX)
            break;
        rc = hops++ == HOPS_MAX ? AN_AGAIN : AN_OK;
        next.size = 0;
        if (!rc)
            rc = target_of(l, link, &next);
        if (!rc)
            rc = an_buffer_printf(&next, "%s", (const char *)path->data + length);
        if (!rc)
            rc = an_place_normalise(path, "", (const char *)next.data, false);
        if (rc)
            break;
    }
    an_buffer_free(&next);
    return rc;
}

/* Where the link i leads. *target: the member, if there is one of this very path. path: the target's path, with
 * "/" at its end if it is a folder. */
static int find_target(const links *l, uint64_t i, an_buffer *path, uint64_t *target, outcome *out)
{
    path->size = 0;
    int rc = an_buffer_printf(path, "%s", an_members_path(l->members, i));
    if (!rc)
        rc = follow(l, path);
    *out = IN_CIRCLES;
    *target = UINT64_MAX;
    if (rc)
        return rc == AN_AGAIN ? AN_OK : rc;
    *target = find(l, (const char *)path->data, path->size);
    if (*target != UINT64_MAX && l->members->entries[*target].kind != AN_MEMBER_FOLDER) {
        *out = l->members->entries[*target].kind == AN_MEMBER_FILE ? TO_FILE : TO_REFUSED;
        return AN_OK;
    }
    rc = path->size ? an_buffer_printf(path, "/") : AN_OK;
    uint64_t at = rc ? l->count : lower_bound(l, (const char *)path->data, path->size);
    *out = begins_at(l, at, (const char *)path->data, path->size) ? TO_FOLDER : TO_NOTHING;
    return rc;
}

/* --- replacing ------------------------------------------------------------------------------------------------- */

static int refuse_link(links *l, uint64_t i, outcome why)
{
    const an_member *link = &l->members->entries[i];
    const char *kind = link->kind == AN_MEMBER_HARD_LINK ? "hard" : "symbolic",
               *target = an_members_text(l->members, i);
    int length = (int)an_utf8_cut(target, strlen(target), 200);
    if (why == IN_CIRCLES)
        return an_members_refuse(l->members, i, "a %s link to '%.*s' that goes in circles", kind, length, target);
    return an_members_refuse(l->members, i,
                             "a %s link to '%.*s', which is not in the tar: pack it with tar --dereference", kind,
                             length, target);
}

static int make_refused(links *l, uint64_t i, uint64_t target, outcome why)
{
    if (why != TO_REFUSED)
        return refuse_link(l, i, why);
    l->members->entries[i].kind = AN_MEMBER_REFUSED;
    l->members->entries[i].text = l->members->entries[target].text;
    return AN_OK;
}

static void make_file(links *l, uint64_t i, uint64_t target)
{
    an_member *link = &l->members->entries[i];
    const an_member *file = &l->members->entries[target];
    link->kind = AN_MEMBER_FILE;
    link->offset = file->offset;
    link->size = file->size;
    link->container = file->container;
}

static int copy_folder(links *l, uint64_t link, const char *alias, const char *folder);

/* Append the member i under another path. If it is a link, append what it leads to. */
static int copy_member(links *l, uint64_t i, const char *alias, uint32_t boundary)
{
    an_buffer path = {0};
    uint64_t target = i, at = l->members->count;
    outcome to = TO_FILE;
    an_member copy = l->members->entries[i];
    bool link = is_link(&copy);
    int rc = link ? find_target(l, i, &path, &target, &to) : AN_OK;
    copy.left_out = an_place_is_left_out(alias, &l->members->left);
    copy.boundary = boundary;
    if (!rc && to == TO_FOLDER) {
        rc = copy_folder(l, i, alias, (const char *)path.data);
    } else if (!rc) {
        rc = an_members_append(l->members, alias, NULL, copy);
        if (!rc && link && to == TO_FILE)
            make_file(l, at, target);
        else if (!rc && link)
            rc = make_refused(l, at, target, to);
    }
    an_buffer_free(&path);
    return rc;
}

/* Would a copy of folder at this link hold the link again, or one of those that led to it? */
static int check_circles(links *l, uint64_t link, const char *folder)
{
    const char *path = an_members_path(l->members, link), *slash = strrchr(path, '/');
    if (l->nested < NESTED_MAX) {
        l->open[l->nested].size = 0;
        int rc = an_buffer_printf(&l->open[l->nested], "%.*s", slash ? (int)(slash + 1 - path) : 0, path);
        if (rc)
            return rc;
    }
    bool circle = l->nested == NESTED_MAX;
    for (int i = 0; i <= l->nested && !circle; i++)
        circle = strncmp((const char *)l->open[i].data, folder, strlen(folder)) == 0;
    return circle ? an_error(AN_EUNSUPPORTED, "'%s' is nested too deeply: a symbolic link that goes in circles?", path)
                  : AN_OK;
}

/* Append all that lies in folder under the path alias, which is that of a link. */
static int copy_folder(links *l, uint64_t link, const char *alias, const char *folder)
{
    an_buffer path = {0};
    size_t length = strlen(folder);
    uint32_t boundary = l->members->entries[link].boundary;
    int rc = check_circles(l, link, folder);
    uint64_t most = COPIES_BASE + COPIES_EACH * l->count;
    if (!rc && l->members->count - l->count > most)
        rc = an_error(AN_EUNSUPPORTED, "'%s': links to folders lead to more than %llu files", alias,
                      (unsigned long long)most);
    if (!rc)
        rc = an_buffer_printf(&path, "%s/", alias);
    size_t prefix = path.size;
    if (!rc)
        rc = an_members_append(
            l->members, (const char *)path.data, NULL,
            (an_member){.kind = AN_MEMBER_FOLDER,
                        .boundary = boundary,
                        .left_out = an_place_is_left_out((const char *)path.data, &l->members->left)});
    l->nested++;
    for (uint64_t at = lower_bound(l, folder, length); !rc && begins_at(l, at, folder, length); at++) {
        path.size = prefix;
        rc = an_buffer_printf(&path, "%s", an_members_path(l->members, l->order[at]) + length);
        if (!rc && path.size > prefix)
            rc = copy_member(l, l->order[at], (const char *)path.data, boundary);
    }
    l->nested--;
    an_buffer_free(&path);
    return rc;
}

/* Find out where each link leads, and copy folders. The links stay what they are: others may lead through them. */
static int look_at_all(links *l)
{
    an_buffer path = {0}, alias = {0};
    int rc = AN_OK;
    for (uint64_t i = 0; i < l->count && !rc; i++) {
        uint64_t target;
        outcome to = NO_LINK;
        if (!is_link(&l->members->entries[i]) || l->members->entries[i].left_out)
            continue;
        rc = find_target(l, i, &path, &target, &to);
        l->outcomes[i] = (uint8_t)to;
        l->members->entries[i].offset = target;
        alias.size = 0;
        if (!rc && to == TO_FOLDER)
            rc = an_buffer_printf(&alias, "%s", an_members_path(l->members, i));
        if (!rc && to == TO_FOLDER)
            rc = copy_folder(l, i, (const char *)alias.data, (const char *)path.data);
    }
    an_buffer_free(&path);
    an_buffer_free(&alias);
    return rc;
}

static int replace_all(links *l)
{
    int rc = AN_OK;
    for (uint64_t i = 0; i < l->count && !rc; i++) {
        outcome to = (outcome)l->outcomes[i];
        uint64_t target = l->members->entries[i].offset;
        if (to == TO_FILE)
            make_file(l, i, target);
        else if (to == TO_FOLDER || (to == NO_LINK && is_link(&l->members->entries[i])))
            l->members->entries[i].left_out = true;
        else if (to != NO_LINK)
            rc = make_refused(l, i, target, to);
    }
    return rc;
}

static int prepare(links *l)
{
    l->order = malloc(l->count * sizeof(*l->order));
    l->outcomes = calloc(l->count, 1);
    if (!l->order || !l->outcomes)
        return an_error(AN_ENOMEM, "out of memory for links among %llu members", (unsigned long long)l->count);
    for (uint64_t i = 0; i < l->count; i++)
        l->order[i] = i;
    qsort_r(l->order, l->count, sizeof(*l->order), by_path, l->members);
    return AN_OK;
}

int an_members_resolve_links(an_members *members)
{
    links l = {.members = members, .count = members->count};
    bool any = false;
    for (uint64_t i = 0; i < members->count && !any; i++)
        any = is_link(&members->entries[i]);
    if (!any)
        return AN_OK;
    int rc = prepare(&l);
    if (!rc)
        rc = look_at_all(&l);
    if (!rc)
        rc = replace_all(&l);
    for (int i = 0; i < NESTED_MAX; i++)
        an_buffer_free(&l.open[i]);
    free(l.order);
    free(l.outcomes);
    return rc;
}
