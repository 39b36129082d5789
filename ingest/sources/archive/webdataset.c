#include "ingest/sources/archive/webdataset_private.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"

const char *an_webdataset_extension(const char *name)
{
    const char *slash = strrchr(name, '/'), *dot = strchr(slash ? slash : name, '.');
    return dot ? dot : name + strlen(name);
}

bool an_webdataset_same_key(const char *a, const char *b)
{
    size_t length = (size_t)(an_webdataset_extension(a) - a);
    return length == (size_t)(an_webdataset_extension(b) - b) && memcmp(a, b, length) == 0;
}

bool an_webdataset_is_image(const char *name)
{
    static const char *const known[] = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".ppm", ".tif", ".tiff"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcasecmp(an_webdataset_extension(name), known[i]) == 0)
            return true;
    return false;
}

bool an_webdataset_is_class(const char *name)
{
    return strcmp(an_webdataset_extension(name), ".cls") == 0;
}

int an_webdataset_class(char *text, const char **class_id)
{
    text += strspn(text, " \t\r\n");
    text[strcspn(text, " \t\r\n")] = 0;
    *class_id = text;
    return *text ? AN_OK : an_error(AN_ECORRUPT, "an empty .cls file");
}
