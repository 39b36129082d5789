#include "tests/ingest/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

void support_config(an_ingest_config *config, int side)
{
    assert_int_equal(an_options_init(&an_ingest_options, config), AN_OK);
    config->size = side;
    config->threads = 2;
    config->quiet = true;
}

void support_pictures(fixture *f, const char *folder, int classes, int each)
{
    for (int c = 0; c < classes; c++)
        for (int i = 0; i < each; i++) {
            uint32_t seed = (uint32_t)(c * each + i);
            fixture_write_jpeg(fixture_path(f, "%s/class-%d/%03d.jpg", folder, c, i), 40 + seed % 50, 60 - seed % 25,
                               seed);
        }
}

void support_ingest(const an_ingest_config *config, const char *source, const char *destination)
{
    an_ingest_outcome outcome;
    int rc = an_ingest_run(config, source, destination, &outcome);
    an_ingest_outcome_free(&outcome);
    if (rc)
        fail_msg("%d: %s", rc, an_error_message());
}

an_dataset *support_open(const char *path)
{
    an_dataset *dataset;
    if (an_dataset_open(&dataset, path))
        fail_msg("%s", an_error_message());
    return dataset;
}

static void assert_same_record(const an_dataset *a, const an_dataset *b, uint64_t i)
{
    an_record one, other;
    const char *name, *other_name;
    size_t length, other_length;
    assert_int_equal(an_dataset_record(a, i, &one), AN_OK);
    assert_int_equal(an_dataset_record(b, i, &other), AN_OK);
    assert_int_equal(one.header.codec, other.header.codec);
    assert_int_equal(one.header.label, other.header.label);
    assert_int_equal(one.header.length, other.header.length);
    assert_memory_equal(one.payload, other.payload, one.header.length);
    assert_int_equal(an_dataset_name(a, i, &name, &length), AN_OK);
    assert_int_equal(an_dataset_name(b, i, &other_name, &other_length), AN_OK);
    assert_int_equal(length, other_length);
    assert_memory_equal(name, other_name, length);
}

void support_assert_same(const an_dataset *a, const an_dataset *b)
{
    assert_int_equal(an_dataset_count(a), an_dataset_count(b));
    assert_int_equal(an_dataset_class_count(a), an_dataset_class_count(b));
    assert_int_equal(an_dataset_reject_count(a), an_dataset_reject_count(b));
    assert_string_equal(an_dataset_manifest(a), an_dataset_manifest(b));
    for (uint32_t i = 0; i < an_dataset_class_count(a); i++) {
        assert_string_equal(an_dataset_class(a, i)->id, an_dataset_class(b, i)->id);
        assert_string_equal(an_dataset_class(a, i)->name, an_dataset_class(b, i)->name);
    }
    for (uint64_t i = 0; i < an_dataset_count(a); i++)
        assert_same_record(a, b, i);
    const an_statistics *s = an_dataset_statistics(a), *t = an_dataset_statistics(b);
    assert_int_equal(s->images, t->images);
    assert_int_equal(s->images, an_dataset_count(a));
    assert_memory_equal(s->mean, t->mean, sizeof(s->mean));
    assert_memory_equal(s->covariance, t->covariance, sizeof(s->covariance));
    assert_memory_equal(s->mean_image, t->mean_image, (size_t)s->side * s->side * 3 * sizeof(float));
}
