/* Versions of option structs, and what else every part of liban relies on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <an/an.h>

#include "liban/common_private.h"

/* A struct that has grown once, and as it was before. */
typedef struct {
    uint32_t version;
    int first;
    double second; /* since version 2 */
} grown;

typedef struct {
    uint32_t version;
    int first;
} young;

static const size_t sizes[] = {AN_LIB_END_OF(grown, first), AN_LIB_END_OF(grown, second)};

static int take_grown(grown *to, const void *from)
{
    *to = (grown){.version = 2, .first = 11, .second = 0.5};
    return an_lib_take_options(to, from, sizes, 2, "grown");
}

static void older_structs_keep_their_meaning(void **state)
{
    (void)state;
    /* What lies behind an old struct is no part of it: reading it would be an error to AddressSanitizer. */
    young *old = malloc(sizeof *old);
    grown mine;
    assert_non_null(old);
    assert_int_equal(sizes[0], sizeof *old);
    *old = (young){.version = 1, .first = 7};
    assert_int_equal(take_grown(&mine, old), LIBAN_OK);
    assert_int_equal(mine.version, 2);
    assert_int_equal(mine.first, 7);
    assert_true(mine.second == 0.5);
    free(old);
}

static void structs_of_this_version_are_taken_whole(void **state)
{
    (void)state;
    const grown theirs = {.version = 2, .first = 3, .second = 4};
    grown mine;
    assert_int_equal(take_grown(&mine, &theirs), LIBAN_OK);
    assert_memory_equal(&mine, &theirs, sizeof mine);
}

static void other_versions_are_refused(void **state)
{
    (void)state;
    grown theirs = {.version = 0}, mine;
    assert_int_equal(take_grown(&mine, &theirs), LIBAN_EINVAL);
    assert_string_equal(liban_error_message(), "grown has version 0: begin with its initialiser");
    theirs.version = 3;
    assert_int_equal(take_grown(&mine, &theirs), LIBAN_EUNSUPPORTED);
    assert_string_equal(liban_error_message(),
                        "grown has version 3, this library knows 2: it is older than the program");
    assert_int_equal(take_grown(&mine, NULL), LIBAN_EINVAL);
    assert_int_equal(mine.first, 11);
}

static void other_processes_are_named(void **state)
{
    (void)state;
    assert_int_equal(an_lib_check_process(getpid(), "thing"), LIBAN_OK);
    assert_int_equal(an_lib_check_process(getppid(), "thing"), LIBAN_EFORKED);
    assert_non_null(strstr(liban_error_message(), "the thing belongs to process"));
}

static void the_version_is_that_of_the_headers(void **state)
{
    (void)state;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", LIBAN_VERSION_MAJOR, LIBAN_VERSION_MINOR, LIBAN_VERSION_PATCH);
    assert_string_equal(liban_version(), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_structs_keep_their_meaning),   cmocka_unit_test(structs_of_this_version_are_taken_whole),
        cmocka_unit_test(other_versions_are_refused),         cmocka_unit_test(other_processes_are_named),
        cmocka_unit_test(the_version_is_that_of_the_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
