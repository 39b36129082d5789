/* The codecs of this program, in the order of their numbers, and what can be said by looking at the table alone. */
#include <string.h>

#include "base/error.h"
#include "base/text/name_list.h"
#include "store/codec_private.h"
#include "store/jpeg/jpeg.h"

/* A codec's name for people; its row is an_codec_row_<name>. */
#define AN_CODECS(ROW) ROW(jpeg) ROW(yuv420) ROW(rgb) ROW(coef)

#define AS_ROW(name) &an_codec_row_##name,
#define AS_NAME(name) #name,

static const an_codec_row *const rows[] = {AN_CODECS(AS_ROW)};

const char *const an_codec_names[] = {AN_CODECS(AS_NAME) NULL};

size_t an_codec_count(void)
{
    return sizeof rows / sizeof *rows;
}

const an_codec_row *an_codec_row_at(size_t i)
{
    return rows[i];
}

an_codec an_codec_at(size_t i)
{
    return rows[i]->codec;
}

size_t an_codec_find(an_codec codec)
{
    size_t i = 0;
    while (i < an_codec_count() && rows[i]->codec != codec)
        i++;
    return i;
}

bool an_codec_known(unsigned number)
{
    return an_codec_find((an_codec)number) < an_codec_count();
}

const char *an_codec_name(an_codec codec)
{
    size_t i = an_codec_find(codec);
    return i < an_codec_count() ? an_codec_names[i] : "?";
}

static const char *name_at(size_t i)
{
    return an_codec_names[i];
}

int an_codec_from_name(const char *name, an_codec *out)
{
    for (size_t i = 0; i < an_codec_count(); i++) {
        if (strcmp(an_codec_names[i], name) == 0) {
            *out = rows[i]->codec;
            return AN_OK;
        }
    }
    an_name_list list = an_name_list_make(an_codec_count(), name_at);
    return an_error(AN_EINVAL, "unknown codec '%s': use %s", name, list.text);
}

bool an_codec_lossless(an_codec from, an_codec to)
{
    size_t a = an_codec_find(from), b = an_codec_find(to);
    if (a == an_codec_count() || b == an_codec_count())
        return false;
    return a == b || (rows[a]->to_jpeg && rows[b]->from_jpeg);
}

int an_codec_libraries(an_buffer *out)
{
    return an_jpeg_libraries(out);
}
