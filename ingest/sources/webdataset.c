#include "ingest/sources/webdataset.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"

const char *an_sample_extension(const char *name)
{
    const char *slash = strrchr(name, '/'), *dot = strchr(slash ? slash : name, '.');
    return dot ? dot : name + strlen(name);
}

bool an_sample_same_key(const char *a, const char *b)
{
    size_t length = (size_t)(an_sample_extension(a) - a);
    return length == (size_t)(an_sample_extension(b) - b) && memcmp(a, b, length) == 0;
}

bool an_sample_is_image(const char *name)
{
    static const char *const known[] = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".ppm", ".tif", ".tiff"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcasecmp(an_sample_extension(name), known[i]) == 0)
            return true;
    return false;
}

bool an_sample_is_class(const char *name)
{
    return strcmp(an_sample_extension(name), ".cls") == 0;
}

int an_sample_class(char *text, const char **class_id)
{
    text += strspn(text, " \t\r\n");
    text[strcspn(text, " \t\r\n")] = 0;
    *class_id = text;
    return *text ? AN_OK : an_error(AN_ECORRUPT, "an empty .cls file");
}
