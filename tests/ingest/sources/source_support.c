#include "tests/ingest/sources/source_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/error.h"

fixture support_files;

int support_set_up(void **state)
{
    (void)state;
    fixture_open(&support_files);
    return 0;
}

int support_tear_down(void **state)
{
    (void)state;
    fixture_close(&support_files);
    return 0;
}

an_source *support_open_source(const an_source_options *options)
{
    an_source *source = NULL;
    int rc = an_source_open(&source, options);
    if (rc)
        fail_msg("cannot open: %s", an_error_message());
    return source;
}

void support_refused(const an_source_options *options, int code, const char *text)
{
    an_source *source = NULL;
    assert_int_equal(an_source_open(&source, options), code);
    if (!strstr(an_error_message(), text))
        fail_msg("'%s' is not in '%s'", text, an_error_message());
}

void support_expect_items(an_source *source, const char *const *expected)
{
    an_item item = {0};
    for (; *expected; expected++) {
        char text[512];
        assert_int_equal(an_source_next(source, &item), AN_OK);
        snprintf(text, sizeof(text), "%s=%u", (const char *)item.name.data, item.label);
        assert_string_equal(text, *expected);
    }
    assert_int_equal(an_source_next(source, &item), AN_END);
    an_item_free(&item);
}

void support_put(const char *name, const char *content)
{
    fixture_write(fixture_path(&support_files, "%s", name), content, strlen(content));
}

const char *support_path(const char *name)
{
    return fixture_path(&support_files, "%s", name);
}

void support_put_gz(const char *name, const void *data, size_t size)
{
    gzFile file = gzopen(support_path(name), "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, data, (unsigned)size), (int)size);
    assert_int_equal(gzclose(file), Z_OK);
}
