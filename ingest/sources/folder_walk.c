/* Walking a folder: its entries in order, what is left out, circles. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "ingest/sources/folder_private.h"

static int every(const struct dirent *found)
{
    return strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int an_folder_each(an_folder_walk *w, const char *name, an_folder_visit visit, uint32_t label, int depth)
{
    an_buffer path = {0};
    struct dirent **found = NULL;
    int rc = an_buffer_printf(&path, "%s/%s", w->root, name), count = 0;
    if (!rc && (count = scandir((char *)path.data, &found, every, by_name)) < 0)
        rc = an_error_errno(errno, "cannot read folder '%s'", (char *)path.data);
    for (int i = 0; i < count; i++) {
        path.size = 0;
        if (!rc)
            rc = an_buffer_printf(&path, "%s%s%s", name, *name ? "/" : "", found[i]->d_name);
        if (!rc && !an_place_is_left_out((char *)path.data, &w->left_out))
            rc = visit(w, (char *)path.data, label, depth);
        free(found[i]);
    }
    free(found);
    an_buffer_free(&path);
    return rc;
}

int an_folder_look_at(an_folder_walk *w, const char *name, struct stat *status)
{
    an_buffer path = {0};
    int rc = an_buffer_printf(&path, "%s/%s", w->root, name);
    if (!rc && stat((char *)path.data, status))
        memset(status, 0, sizeof(*status));
    an_buffer_free(&path);
    return rc;
}

int an_folder_check(an_folder_walk *w, const char *name, bool *left_out)
{
    an_buffer path = {0};
    const char *slash = strrchr(name, '/');
    *left_out = an_place_is_system(slash ? slash + 1 : name, &w->left_out);
    int rc = *left_out ? AN_OK : an_buffer_printf(&path, "%s/%s/data.mdb", w->root, name);
    if (!rc && !*left_out && access((char *)path.data, F_OK) == 0) {
        *left_out = true;
        an_place_count_dataset(&w->left_out, name);
    }
    an_buffer_free(&path);
    return rc;
}

int an_folder_enter(an_folder_walk *w, const char *name, const struct stat *status, int depth)
{
    bool circle = depth == AN_FOLDER_DEPTH_MAX;
    for (int i = 0; i < depth && !circle; i++)
        circle = w->open[i].inode == status->st_ino && w->open[i].device == status->st_dev;
    if (circle)
        return an_error(AN_EUNSUPPORTED, "'%s/%s' is nested too deeply: a symbolic link that goes in circles?", w->root,
                        name);
    w->open[depth] = (an_folder_id){status->st_dev, status->st_ino};
    return AN_OK;
}
