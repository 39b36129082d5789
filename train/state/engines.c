#include "train/state/engines.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/file.h"

#define NAME "engines.txt"
#define HEAD "an-engines 1 "
#define HEAD_LENGTH (sizeof(HEAD) - 1 + 16 + 1) /* hash and newline */
#define SIZE_MAX_FILE ((size_t)16 << 20)

static int damaged(const char *path)
{
    return an_error(AN_ECORRUPT,
                    "'%s' is damaged: kernels are measured again, which can change the last bits of results", path);
}

/* Take a line "key\tname\tmicroseconds\tfirst"; its tabs are overwritten. */
static int line_take(an_choices *choices, char *line, bool used)
{
    char *key = strsep(&line, "\t"), *name = strsep(&line, "\t"), *time = strsep(&line, "\t");
    char *first = strsep(&line, "\t"), *end = NULL;
    if (!first || line || !*key || !*name)
        return AN_ECORRUPT;
    an_choice choice = {.key = key, .name = name, .microseconds = strtod(time, &end), .used = used};
    if (*end || end == time)
        return AN_ECORRUPT;
    choice.first = strtod(first, &end);
    if (*end || end == first)
        return AN_ECORRUPT;
    return an_choices_put(choices, &choice);
}

static int text_take(an_choices *choices, an_buffer *text, const char *path, bool used)
{
    char expected[HEAD_LENGTH + 1];
    if (text->size < HEAD_LENGTH || memchr(text->data, '\0', text->size))
        return damaged(path);
    uint64_t hash = XXH3_64bits(text->data + HEAD_LENGTH, text->size - HEAD_LENGTH);
    snprintf(expected, sizeof(expected), HEAD "%016" PRIx64 "\n", hash);
    if (memcmp(text->data, expected, HEAD_LENGTH) != 0)
        return damaged(path);
    int rc = an_buffer_append(text, "", 1);
    for (char *rest = (char *)text->data + HEAD_LENGTH, *line; !rc && (line = strsep(&rest, "\n")) && rest;)
        rc = line_take(choices, line, used);
    return rc == AN_ECORRUPT ? damaged(path) : rc;
}

static int load(an_choices *choices, const char *path, bool used)
{
    an_buffer text = {0};
    int rc = an_file_read(path, SIZE_MAX_FILE, &text);
    if (!rc)
        rc = text_take(choices, &text, path, used);
    an_buffer_free(&text);
    return rc;
}

static int load_noting(an_choices *choices, const char *path, bool used, an_buffer *notes)
{
    int rc = load(choices, path, used);
    if (!rc || rc == AN_ENOTFOUND)
        return AN_OK;
    return rc == AN_ENOMEM ? rc : an_buffer_printf(notes, "%s\n", an_error_message());
}

/* Path of a file in the cache. False if the environment names neither a cache nor a home. */
static bool cache_path(char path[PATH_MAX], const char *name)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = -1;
    if (cache && *cache == '/')
        length = snprintf(path, PATH_MAX, "%s/an%s", cache, name);
    else if (home && *home == '/')
        length = snprintf(path, PATH_MAX, "%s/.cache/an%s", home, name);
    return length > 0 && length < PATH_MAX;
}

int an_engines_load(an_choices *choices, const char *run, an_buffer *notes)
{
    char path[PATH_MAX];
    int rc = AN_OK;
    if (run && snprintf(path, sizeof(path), "%s/" NAME, run) < (int)sizeof(path))
        rc = load_noting(choices, path, true, notes);
    if (!rc && cache_path(path, "/" NAME))
        rc = load_noting(choices, path, false, notes);
    return rc;
}

static int save(const an_choices *choices, bool used_only, const char *path)
{
    an_buffer lines = {0}, text = {0};
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < choices->count; i++) {
        const an_choice *c = &choices->items[i];
        if (c->used || !used_only)
            rc = an_buffer_printf(&lines, "%s\t%s\t%.2f\t%.2f\n", c->key, c->name, c->microseconds, c->first);
    }
    if (!rc)
        rc = an_buffer_printf(&text, HEAD "%016" PRIx64 "\n", XXH3_64bits(lines.data, lines.size));
    if (!rc)
        rc = an_buffer_append(&text, lines.data, lines.size);
    if (!rc)
        rc = an_file_replace(path, text.data, text.size);
    an_buffer_free(&lines);
    an_buffer_free(&text);
    return rc;
}

static bool any(const an_choices *choices, bool measured)
{
    for (size_t i = 0; i < choices->count; i++)
        if (measured ? choices->items[i].measured : choices->items[i].used)
            return true;
    return false;
}

int an_engines_save(const an_choices *choices, const char *path)
{
    return any(choices, false) ? save(choices, true, path) : AN_OK;
}

/* Add to what the file holds now: another program may have added to it since it was loaded. */
static int cache_merge(const an_choices *choices, const char *path)
{
    an_choices all = {0};
    int rc = load(&all, path, false);
    if (rc && rc != AN_ENOMEM) { /* missing or damaged: it is written anew */
        an_choices_free(&all);
        rc = AN_OK;
    }
    for (size_t i = 0; !rc && i < choices->count; i++)
        if (choices->items[i].measured)
            rc = an_choices_put(&all, &choices->items[i]);
    if (!rc)
        rc = save(&all, false, path);
    an_choices_free(&all);
    return rc;
}

int an_engines_save_cache(const an_choices *choices, an_buffer *notes)
{
    char path[PATH_MAX];
    if (!any(choices, true) || !cache_path(path, ""))
        return AN_OK;
    int rc = an_file_make_folder(path);
    if (!rc && cache_path(path, "/" NAME))
        rc = cache_merge(choices, path);
    if (!rc || rc == AN_ENOMEM)
        return rc;
    return an_buffer_printf(notes, "measured kernels are not kept for other runs: %s\n", an_error_message());
}
