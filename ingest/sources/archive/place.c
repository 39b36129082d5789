#include "ingest/sources/archive/place.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text/utf8.h"
#include "ingest/sources/archive/note.h"

enum { COUNT_OF_SYSTEMS = 7 };
static const char *const systems[COUNT_OF_SYSTEMS] = {
    "__MACOSX", "lost+found", "@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "System Volume Information"};

static size_t parent_of(const an_buffer *path)
{
    size_t size = path->size ? path->size - 1 : 0; /* without the "/" at the end */
    while (size && path->data[size - 1] != '/')
        size--;
    return size;
}

/* The caller has made room. */
static void add_part(an_buffer *out, const char *part, size_t length)
{
    memcpy(out->data + out->size, part, length);
    out->size += length;
    out->data[out->size++] = '/';
}

static void add_parts(an_buffer *out, const char *name)
{
    while (*name) {
        size_t length = strcspn(name, "/");
        if (length == 2 && memcmp(name, "..", 2) == 0)
            out->size = parent_of(out);
        else if (length && !(length == 1 && *name == '.'))
            add_part(out, name, length);
        name += length + (name[length] == '/');
    }
}

int an_place_normalise(an_buffer *out, const char *prefix, const char *name, bool folder)
{
    out->size = 0;
    int rc = an_buffer_reserve(out, strlen(prefix) + strlen(name) + 3);
    if (rc)
        return rc;
    add_parts(out, prefix);
    add_parts(out, name);
    out->data[out->size] = 0;
    if (out->size > AN_PLACE_PATH_MAX)
        return an_error(AN_EUNSUPPORTED, "a path of %zu bytes, which begins '%.60s': %d are possible", out->size,
                        (const char *)out->data, AN_PLACE_PATH_MAX);
    out->size -= out->size && !folder;
    out->data[out->size] = 0;
    return AN_OK;
}

bool an_place_is_image(const char *path)
{
    static const char *const endings[] = {".jpg",  ".jpeg", ".jpe",  ".jfif", ".jif", ".png", ".webp", ".gif",
                                          ".bmp",  ".dib",  ".ppm",  ".pgm",  ".pnm", ".pbm", ".tif",  ".tiff",
                                          ".heic", ".heif", ".avif", ".jp2",  ".j2k", ".jxl", ".tga"};
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; dot && i < sizeof(endings) / sizeof(endings[0]); i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

static void keep(char *into, size_t room, const char *text)
{
    size_t length = an_utf8_cut(text, strlen(text), room - 1);
    memcpy(into, text, length);
    into[length] = 0;
}

static bool is_system(const char *part, size_t length, an_place_left_out *left)
{
    for (int i = 0; i < COUNT_OF_SYSTEMS; i++)
        if (strlen(systems[i]) == length && memcmp(systems[i], part, length) == 0) {
            left->systems |= 1u << i;
            return true;
        }
    return false;
}

bool an_place_is_system(const char *part, an_place_left_out *left)
{
    return is_system(part, strlen(part), left);
}

/* "._name" is what macOS writes beside the file "name" in a tar: its attributes, never an image. */
static void count_hidden(const char *path, an_place_left_out *left)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (!an_place_is_image(path) || strncmp(base, "._", 2) == 0)
        return;
    if (!left->hidden++)
        keep(left->first_hidden, sizeof(left->first_hidden), path);
}

bool an_place_is_left_out(const char *path, an_place_left_out *left)
{
    for (const char *part = path, *slash; *part; part = slash + 1) {
        slash = strchr(part, '/');
        if (slash && is_system(part, (size_t)(slash - part), left))
            return true;
        if (*part == '.') {
            count_hidden(path, left);
            return true;
        }
        if (!slash)
            break;
    }
    return false;
}

bool an_place_is_dataset_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    return strcmp(base, "data.mdb") == 0 || strcmp(base, "lock.mdb") == 0;
}

void an_place_count_dataset(an_place_left_out *left, const char *folder)
{
    if (!left->datasets++)
        keep(left->first_dataset, sizeof(left->first_dataset), folder);
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static int describe_systems(uint32_t found, an_buffer *out)
{
    char names[256] = "";
    size_t used = 0;
    for (int i = 0; i < COUNT_OF_SYSTEMS; i++)
        if (found >> i & 1)
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s'%s'", used ? ", " : "", systems[i]);
    return an_note(out, "left out, for they are no classes but made by systems: folders called %s", names);
}

int an_place_describe(const an_place_left_out *left, an_buffer *out)
{
    int rc = left->systems ? describe_systems(left->systems, out) : AN_OK;
    if (!rc && left->datasets)
        rc = an_note(out, "left out: %llu folder%s with a dataset of an-ingest, such as '%s'",
                     (unsigned long long)left->datasets, plural(left->datasets), left->first_dataset);
    if (!rc && left->hidden)
        rc = an_note(out, "left out: %llu hidden image%s, such as '%s'", (unsigned long long)left->hidden,
                     plural(left->hidden), left->first_hidden);
    return rc;
}

int an_place_class(const char *base, const char *path, const char **start, size_t *length)
{
    size_t shared = 0, size = strlen(base);
    for (const char *slash; (slash = strchr(path + shared, '/'));) {
        size_t end = (size_t)(slash + 1 - path);
        if (end > size || memcmp(path, base, end) != 0) {
            *start = path + shared;
            *length = end - 1 - shared;
            return AN_OK;
        }
        shared = end;
    }
    return AN_END;
}

int an_place_learn(an_buffer *base, const char *path, size_t boundary, const an_classes *classes)
{
    an_buffer part = {0};
    int rc = AN_END;
    for (const char *start = path, *slash; rc == AN_END && (slash = strchr(start, '/')); start = slash + 1) {
        uint32_t label;
        if (boundary && (size_t)(slash - path) >= boundary)
            break;
        part.size = 0;
        int text_rc = an_buffer_printf(&part, "%.*s", (int)(slash - start), start);
        if (text_rc) {
            rc = text_rc;
        } else if (!an_classes_find(classes, (const char *)part.data, &label)) {
            base->size = 0;
            rc = an_buffer_printf(base, "%.*s", (int)(start - path), path);
        }
    }
    an_buffer_free(&part);
    return rc;
}
