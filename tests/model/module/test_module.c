/* Modules are found, their libraries too, in the documented order; what is missing or of another version is told. The
 * modules here need no device and no library of any vendor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/module/module_private.h"
#include "model/backend_module.h"

#define SONAME "liban_fake.so.1"

static char root[64]; /* the tests' own folder */

static const an_module_library fake_libraries[] = {{SONAME, "fake-package", "fake-wheel"},
                                                   {"liban_absent.so.2", "absent-package", "absent-wheel"}};
static char vendor[128];

static an_module_spec spec_of(int libraries)
{
    return (an_module_spec){.name = "fake",
                            .vendor = "Nobody",
                            .file = "an_fake.so",
                            .file_variable = "AN_FAKE_MODULE",
                            .folders_variable = "AN_FAKE_LIBRARIES",
                            .vendor_folder = vendor,
                            .wheel_folders = "vendor/*/lib",
                            .libraries = fake_libraries,
                            .count = libraries};
}

/* Loads a module's file with as many of the libraries. */
static int load(const an_backend_api **out, const char *file, int libraries)
{
    an_module_spec spec = spec_of(libraries);
    const an_backend_api *loaded = NULL;
    setenv("AN_FAKE_MODULE", file, 1);
    int rc = an_backend_module_load(out, &loaded, &spec);
    unsetenv("AN_FAKE_MODULE");
    return rc;
}

static void assert_said(const char *part)
{
    if (!strstr(an_error_message(), part))
        fail_msg("'%s' does not say '%s'", an_error_message(), part);
}

/* Makes a file below root, with the folders on its way. */
static void put(const char *path)
{
    char text[PATH_MAX];
    snprintf(text, sizeof text, "%s/%s", root, path);
    for (char *c = text + strlen(root) + 1; (c = strchr(c, '/')); c++) {
        *c = '\0';
        if (mkdir(text, 0755))
            assert_int_equal(errno, EEXIST);
        *c = '/';
    }
    FILE *file = fopen(text, "w");
    assert_non_null(file);
    assert_true(fputs("no library\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(text, 0755), 0);
}

static void set(const char *variable, const char *path)
{
    char text[PATH_MAX];
    snprintf(text, sizeof text, "%s/%s", root, path);
    setenv(variable, text, 1);
}

/* Writes down, below root, what a search finds. */
static bool note(void *context, const char *file)
{
    char *text = context;
    if (!strncmp(file, root, strlen(root)))
        strcat(strcat(text, file + strlen(root)), "\n");
    return false;
}

static void test_places_are_searched_in_order(void **state)
{
    (void)state;
    char found[4096] = "", folders[256], module[128];
    const an_module_spec spec = spec_of(1);
    put("second/" SONAME);
    put("first/" SONAME);
    put("own/" SONAME);
    put("vendor/" SONAME);
    put("env[1]/lib/python3.11/site-packages/vendor/b/lib/" SONAME);
    put("env[1]/lib/python3.11/site-packages/vendor/a/lib/" SONAME);
    put("env1/lib/python3.11/site-packages/vendor/a/lib/" SONAME); /* "[1]" in a name is no pattern */
    put("conda/lib/python3.12/site-packages/vendor/a/lib/" SONAME);
    put("conda/lib/" SONAME);
    put("path/bin/python3");
    put("path/lib/python3/dist-packages/vendor/a/lib/" SONAME);
    put("home/.local/lib/python3.13/site-packages/vendor/a/lib/" SONAME);
    snprintf(folders, sizeof folders, "%s/first::%s/none:%s/second", root, root, root);
    setenv("AN_FAKE_LIBRARIES", folders, 1);
    set("VIRTUAL_ENV", "env[1]");
    set("CONDA_PREFIX", "conda");
    set("PATH", "path/bin");
    set("HOME", "home");
    snprintf(module, sizeof module, "%s/own/an_fake.so", root);
    assert_false(an_module_search_first(&spec, module, SONAME, note, found));
    assert_string_equal(found, "/first/" SONAME "\n/second/" SONAME "\n/own/" SONAME "\n");
    *found = '\0';
    assert_false(an_module_search_last(&spec, SONAME, note, found));
    assert_string_equal(found, "/vendor/" SONAME "\n"
                               "/env[1]/lib/python3.11/site-packages/vendor/a/lib/" SONAME "\n"
                               "/env[1]/lib/python3.11/site-packages/vendor/b/lib/" SONAME "\n"
                               "/conda/lib/python3.12/site-packages/vendor/a/lib/" SONAME "\n"
                               "/conda/lib/" SONAME "\n"
                               "/path/lib/python3/dist-packages/vendor/a/lib/" SONAME "\n"
                               "/home/.local/lib/python3.13/site-packages/vendor/a/lib/" SONAME "\n");
    unsetenv("AN_FAKE_LIBRARIES");
    unsetenv("VIRTUAL_ENV");
    unsetenv("CONDA_PREFIX");
}

static void test_missing_module_is_told(void **state)
{
    (void)state;
    char file[PATH_MAX];
    const an_module_spec spec = spec_of(0);
    assert_int_equal(an_module_find(file, &spec), AN_EUNSUPPORTED);
    assert_said("the fake module is not installed: there is no '/");
    assert_said("/an_fake.so'; install it, or name its file in AN_FAKE_MODULE");
    setenv("AN_FAKE_MODULE", "/nowhere/an_fake.so", 1);
    assert_int_equal(an_module_find(file, &spec), AN_EUNSUPPORTED);
    assert_said("AN_FAKE_MODULE names '/nowhere/an_fake.so'");
    unsetenv("AN_FAKE_MODULE");
}

/* All that is missing at once, with the packages. */
static void test_missing_libraries_are_told(void **state)
{
    (void)state;
    const an_backend_api *api;
    assert_int_equal(load(&api, AN_TEST_NEEDY, 2), AN_EUNSUPPORTED);
    assert_said("the fake module lacks " SONAME ", liban_absent.so.2; apt-get install fake-package absent-package ");
    assert_said(
        "from Nobody's repository, or pip install fake-wheel absent-wheel, or list their folders in AN_FAKE_LIBRARIES");
}

static void test_unusable_library_is_told(void **state)
{
    (void)state;
    const an_backend_api *api;
    put("bad/" SONAME);
    set("AN_FAKE_LIBRARIES", "bad");
    assert_int_equal(load(&api, AN_TEST_NEEDY, 1), AN_EUNSUPPORTED);
    assert_said("lacks " SONAME " (");
    assert_said("/bad/" SONAME);
    unsetenv("AN_FAKE_LIBRARIES");
}

/* A library that the specification forgot: the dynamic linker's own words. */
static void test_unloadable_module_is_told(void **state)
{
    (void)state;
    const an_backend_api *api;
    assert_int_equal(load(&api, AN_TEST_NEEDY, 0), AN_EUNSUPPORTED);
    assert_said("the fake module cannot be loaded: " SONAME);
}

static void test_other_versions_are_refused(void **state)
{
    (void)state;
    static const char *const files[] = {AN_TEST_OLD, AN_TEST_GROWN};
    const an_backend_api *api;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(load(&api, files[i], 0), AN_EUNSUPPORTED);
        assert_said("belongs to another version of this program");
        assert_said("install both of one version");
    }
}

/* The module's errors are this thread's errors, texts are no formats, and what has no state is the program's too. */
static void test_a_module_uses_the_program(void **state)
{
    (void)state;
    const an_backend_api *api;
    an_buffer text = {0};
    an_backend *backend = NULL;
    an_backend_options options = {.device = "fake:0"};
    setenv("AN_FAKE_LIBRARIES", AN_TEST_LIBRARIES, 1);
    assert_int_equal(load(&api, AN_TEST_NEEDY, 1), AN_OK);
    assert_string_equal(api->name, "fake");
    assert_int_equal(api->devices(&text), AN_OK);
    assert_string_equal((const char *)text.data, "fake     conv, 7 %s\n");
    assert_int_equal(api->open(&backend, &options), AN_ENOMEM);
    assert_string_equal(an_error_message(), "in the module, 50 %s: device 'fake:0' is at 100 %s");
    assert_int_equal(api->memory(backend), an_rng_make(1, AN_RNG_DROPOUT, 2, 33).counter[2]);
    an_buffer_free(&text);
    unsetenv("AN_FAKE_LIBRARIES");
}

/* Every row answers with a backend or with the reason why it has none. */
static void test_table_of_backends(void **state)
{
    (void)state;
    an_buffer text = {0};
    const an_backend_api *api;
    setenv("AN_CUDA_MODULE", "/nowhere/an_cuda.so", 1);
    assert_int_equal(an_backend_find("cpu", &api), AN_OK);
    assert_int_equal(an_backend_find("cuda:0", &api), AN_EUNSUPPORTED);
    assert_said("AN_CUDA_MODULE names '/nowhere/an_cuda.so'");
    assert_int_equal(an_backend_find("tpu", &api), AN_EINVAL);
    assert_said("there are 'cpu', 'cuda'");
    assert_int_equal(an_backend_devices(&text), AN_OK);
    assert_non_null(strstr((const char *)text.data, "\ncuda     none: the CUDA module cannot be read"));
    an_buffer_free(&text);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/an-module-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(vendor, sizeof vendor, "%s/vendor", root);
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_module_is_told),       cmocka_unit_test(test_missing_libraries_are_told),
        cmocka_unit_test(test_places_are_searched_in_order), cmocka_unit_test(test_unusable_library_is_told),
        cmocka_unit_test(test_unloadable_module_is_told),    cmocka_unit_test(test_other_versions_are_refused),
        cmocka_unit_test(test_a_module_uses_the_program),    cmocka_unit_test(test_table_of_backends),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
