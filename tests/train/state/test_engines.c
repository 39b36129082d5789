/* The files that keep choices of kernels: they come back as they were, and what is damaged is survived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "train/state/engines.h"

static char folder[] = "/tmp/an-engines-XXXXXX";

static char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void put(an_choices *choices, const char *key, const char *name, bool measured)
{
    an_choice choice = {.key = (char *)key,
                        .name = (char *)name,
                        .microseconds = 12.5,
                        .first = 20,
                        .used = measured,
                        .measured = measured};
    assert_int_equal(an_choices_put(choices, &choice), AN_OK);
}

static size_t load(an_choices *choices, const char *run)
{
    an_buffer notes = {0};
    assert_int_equal(an_engines_load(choices, run, &notes), AN_OK);
    size_t size = notes.size;
    an_buffer_free(&notes);
    return size;
}

static void save_cache(const an_choices *choices)
{
    an_buffer notes = {0};
    assert_int_equal(an_engines_save_cache(choices, &notes), AN_OK);
    assert_int_equal(notes.size, 0);
}

static const char *name_of(an_choices *choices, const char *key)
{
    const an_choice *found = an_choices_find(choices, key);
    return found ? found->name : "none";
}

static void clean(void)
{
    unlink(in_folder("an/engines.txt"));
    unlink(in_folder("engines.txt"));
    rmdir(in_folder("an"));
}

static void test_choices_come_back(void **state)
{
    (void)state;
    an_choices first = {0}, second = {0}, third = {0};
    put(&first, "a product", "7 2=1", true);
    save_cache(&first);
    put(&second, "a product", "8", true); /* another program, at the same time */
    put(&second, "another", "9", true);
    put(&second, "not measured", "10", false);
    save_cache(&second);
    assert_int_equal(load(&third, NULL), 0);
    assert_int_equal(third.count, 2);
    assert_string_equal(name_of(&third, "a product"), "7 2=1");
    assert_string_equal(name_of(&third, "another"), "9");
    assert_true(an_choices_find(&third, "another")->microseconds == 12.5);
    assert_true(an_choices_find(&third, "another")->first == 20);
    an_choices_free(&first);
    an_choices_free(&second);
    an_choices_free(&third);
    clean();
}

/* The run's choices go before the cache's, and the run keeps only what it used. */
static void test_a_run_keeps_its_own(void **state)
{
    (void)state;
    an_choices cached = {0}, used = {0}, both = {0};
    put(&used, "a product", "8", true);
    put(&used, "never asked for", "9", false);
    assert_int_equal(an_engines_save(&used, in_folder("engines.txt")), AN_OK);
    put(&cached, "a product", "7", true);
    put(&cached, "another", "6", true);
    save_cache(&cached);
    assert_int_equal(load(&both, folder), 0);
    assert_int_equal(both.count, 2);
    assert_string_equal(name_of(&both, "a product"), "8");
    assert_string_equal(name_of(&both, "another"), "6");
    an_choices_free(&cached);
    an_choices_free(&used);
    an_choices_free(&both);
    clean();
}

static void count_told(void *context)
{
    ++*(int *)context;
}

/* Whoever waits is told of what was measured, and of nothing else. */
static void test_measured_choices_are_told(void **state)
{
    (void)state;
    int told = 0;
    an_choices choices = {.told = count_told, .context = &told};
    char key[] = "a product", name[] = "7";
    an_choice measured = {.key = key, .name = name, .used = true, .measured = true}, kept = measured;
    kept.measured = false;
    put(&choices, "from a file", "8", false);
    assert_int_equal(an_choices_replace(&choices, &kept), AN_OK);
    assert_int_equal(told, 0);
    assert_int_equal(an_choices_replace(&choices, &measured), AN_OK);
    assert_int_equal(an_choices_replace(&choices, &measured), AN_OK);
    assert_int_equal(told, 2);
    an_choices_free(&choices);
}

static void test_nothing_is_written_for_nothing(void **state)
{
    (void)state;
    an_choices none = {0};
    put(&none, "from the cache", "7", false);
    save_cache(&none);
    assert_int_equal(an_engines_save(&none, in_folder("engines.txt")), AN_OK);
    assert_int_not_equal(access(in_folder("an"), F_OK), 0);
    assert_int_not_equal(access(in_folder("engines.txt"), F_OK), 0);
    an_choices_free(&none);
}

/* Every truncation and every changed byte is noticed, noted, and the file counts for nothing until it is written anew.
 */
static void test_damage_is_survived(void **state)
{
    (void)state;
    an_choices choices = {0}, again = {0};
    an_buffer text = {0};
    put(&choices, "a product", "7", true);
    save_cache(&choices);
    assert_int_equal(an_file_read(in_folder("an/engines.txt"), 4096, &text), AN_OK);
    for (size_t i = 0; i < 2 * text.size; i++) {
        an_choices damaged = {0};
        size_t at = i % text.size;
        text.data[at] ^= 4;
        assert_int_equal(an_file_write_atomic(in_folder("an/engines.txt"), text.data, i < text.size ? text.size : at),
                         AN_OK);
        text.data[at] ^= 4;
        assert_true(load(&damaged, NULL) > 0);
        assert_int_equal(damaged.count, 0);
        an_choices_free(&damaged);
    }
    save_cache(&choices);
    assert_int_equal(load(&again, NULL), 0);
    assert_string_equal(name_of(&again, "a product"), "7");
    an_buffer_free(&text);
    an_choices_free(&choices);
    an_choices_free(&again);
    clean();
}

static void test_a_cache_that_cannot_be_written_is_noted(void **state)
{
    (void)state;
    an_choices choices = {0};
    an_buffer notes = {0};
    put(&choices, "a product", "7", true);
    assert_int_equal(an_file_write_atomic(in_folder("an"), "x", 1), AN_OK);
    assert_int_equal(an_engines_save_cache(&choices, &notes), AN_OK);
    assert_non_null(strstr((const char *)notes.data, "are not kept for other runs"));
    an_buffer_free(&notes);
    an_choices_free(&choices);
    assert_int_equal(unlink(in_folder("an")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices_come_back),
        cmocka_unit_test(test_a_run_keeps_its_own),
        cmocka_unit_test(test_measured_choices_are_told),
        cmocka_unit_test(test_nothing_is_written_for_nothing),
        cmocka_unit_test(test_damage_is_survived),
        cmocka_unit_test(test_a_cache_that_cannot_be_written_is_noted),
    };
    if (!mkdtemp(folder) || setenv("XDG_CACHE_HOME", folder, 1))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(folder) ? 1 : failed;
}
