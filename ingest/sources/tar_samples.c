/* The samples of a webdataset in tars that lie in files. Their .cls files are read while the source is opened. */
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/archive/place.h"
#include "ingest/sources/archive/webdataset_private.h"
#include "ingest/sources/tar_private.h"

/* The samples of the tar, as they are found member by member. image, class: the members of the current one. */
typedef struct {
    an_sample sample;
    uint64_t image, class_file;
} samples;

static int read_cls(const char *path, const an_member *member, char *out)
{
    int fd;
    int rc = an_file_open(&fd, path);
    if (rc)
        return rc;
    rc = an_file_pread(fd, out, member->size, member->offset, path);
    close(fd);
    out[rc ? 0 : member->size] = 0;
    return rc;
}

/* Add the image with the class in its .cls file. */
static int add_labelled(an_tar_source *s, const samples *all)
{
    char text[AN_WEBDATASET_CLASS_MAX];
    const char *id = "";
    const an_member *member = &s->members.entries[all->class_file];
    if (member->size >= sizeof(text))
        return an_tar_refuse(s, all->image, AN_WEBDATASET_LARGE);
    int rc = read_cls(an_listing_file(s->listing, member->container), member, text);
    if (rc)
        return rc;
    const char *reason = an_webdataset_class(text, member->size, &id);
    return reason ? an_tar_refuse(s, all->image, reason) : an_tar_add(s, all->image, id);
}

static int finish_sample(an_tar_source *s, samples *all)
{
    const char *reason;
    bool image = all->sample.image;
    int rc = an_sample_finish(&all->sample, &reason);
    if (rc == AN_END)
        return AN_OK;
    if (rc == AN_AGAIN)
        return an_tar_refuse(s, image ? all->image : all->class_file, reason);
    return rc ? rc : add_labelled(s, all);
}

static int add_to_sample(an_tar_source *s, samples *all, uint64_t i)
{
    an_sample_role role;
    int rc = an_sample_add(&all->sample, an_tar_name(s, i), &role);
    if (!rc && role == AN_SAMPLE_NEXT) {
        rc = finish_sample(s, all);
        if (!rc)
            rc = an_sample_add(&all->sample, an_tar_name(s, i), &role);
    }
    if (rc)
        return rc;
    if (role == AN_SAMPLE_IMAGE)
        all->image = i;
    else if (role == AN_SAMPLE_CLASS)
        all->class_file = i;
    return role == AN_SAMPLE_SECOND ? an_tar_refuse(s, i, AN_WEBDATASET_SECOND) : AN_OK;
}

int an_tar_add_samples(an_tar_source *s)
{
    samples all = {0};
    int rc = AN_OK;
    for (uint64_t i = 0; i < s->members.count && !rc; i++) {
        if (!an_tar_is_input(&s->members.entries[i]))
            continue;
        rc = s->members.entries[i].kind == AN_MEMBER_FILE ? add_to_sample(s, &all, i) : an_tar_add(s, i, "");
    }
    if (!rc)
        rc = finish_sample(s, &all);
    if (!rc)
        rc = an_sample_describe(&all.sample, &an_listing_source(s->listing)->notes);
    an_sample_free(&all.sample);
    return rc;
}
