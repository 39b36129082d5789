#include "ingest/picture/describe_private.h"

#include <string.h>

typedef struct {
    size_t offset, length;
    const char *bytes, *name;
} signature;

static const signature known[] = {
    {0, 4, "GIF8", "GIF image"},
    {0, 2, "BM", "BMP image"},
    {8, 4, "WEBP", "WebP image"},
    {0, 4, "II*\0", "TIFF image"},
    {0, 4, "MM\0*", "TIFF image"},
    {4, 8, "ftypavif", "AVIF image"},
    {4, 8, "ftypheic", "HEIC image"},
    {0, 4, "\0\0\1\0", "icon"},
    {0, 12, "\0\0\0\fjP  \r\n\x87\n", "JPEG 2000 image"},
    {0, 4, "\xff\x4f\xff\x51", "JPEG 2000 image"},
    {0, 2, "\xff\x0a", "JPEG XL image"},
    {0, 4, "8BPS", "Photoshop file"},
    {0, 5, "%PDF-", "PDF document"},
    {0, 4, "PK\3\4", "zip archive"},
    {0, 2, "\x1f\x8b", "gzip file"},
    {257, 5, "ustar", "tar archive"},
    {0, 5, "<?xml", "XML text"},
    {0, 4, "<svg", "SVG image"},
    {0, 5, "<html", "HTML page"},
    {0, 9, "<!DOCTYPE", "HTML page"},
};

const char *an_picture_describe(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (size >= known[i].offset + known[i].length &&
            memcmp(data + known[i].offset, known[i].bytes, known[i].length) == 0)
            return known[i].name;
    size_t printable = 0, looked = size < 512 ? size : 512;
    for (size_t i = 0; i < looked; i++)
        printable += data[i] >= 0x20 || (data[i] >= '\t' && data[i] <= '\r');
    return looked && printable == looked ? "text" : "not an image";
}
