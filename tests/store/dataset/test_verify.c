/* What opening a dataset lets pass, and an_dataset_verify_databases does not. LMDB itself rewrites the file, and the
 * checksum over everything is made right again: so nothing but these checks can tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lmdb.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/lmdb_audit_private.h"
#include "tests/store/dataset/support.h"

enum { RECORDS = 40, REJECTS = 6 };

static void put(const char *path, const char *database, const void *key, size_t key_size, const void *value,
                size_t value_size)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = {key_size, (void *)(uintptr_t)key}, v = {value_size, (void *)(uintptr_t)value};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64 << 20), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOLOCK, 0666), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, database, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

typedef struct {
    an_lmdb_file file;
    an_dataset_layout_checksum *checksum;
} summing;

static int sum_item(void *context, const an_lmdb_item *item)
{
    summing *s = context;
    an_dataset_layout_checksum_add(s->checksum, &s->file, item);
    return AN_OK;
}

static void put_right(const char *path, const char *data)
{
    summing s;
    uint8_t bytes[8];
    assert_int_equal(an_dataset_layout_checksum_create(&s.checksum), AN_OK);
    assert_int_equal(an_lmdb_file_open(&s.file, data), AN_OK);
    assert_int_equal(an_lmdb_file_walk(&s.file, NULL, sum_item, &s), AN_OK);
    an_bytes_put_u64(bytes, an_dataset_layout_checksum_value(s.checksum));
    an_lmdb_file_close(&s.file);
    an_dataset_layout_checksum_free(s.checksum);
    put(path, AN_DATASET_LAYOUT_META, AN_DATASET_LAYOUT_CHECKSUM, strlen(AN_DATASET_LAYOUT_CHECKSUM), bytes,
        sizeof bytes);
}

/* A dataset with this value under this key opens, but is not sound. */
static void refused(void **state, const char *database, const void *key, size_t key_size, const char *value,
                    size_t value_size, const char *word)
{
    const char *path = test_path(state, "set"), *data = test_path(state, "set/data.mdb");
    an_dataset *dataset;
    test_dataset_make(path, &test_small, RECORDS, REJECTS);
    assert_int_equal(an_dataset_open(&dataset, path), AN_OK);
    assert_int_equal(an_dataset_verify_databases(dataset), AN_OK);
    an_dataset_free(dataset);
    put(path, database, key, key_size, value, value_size);
    put_right(path, data);
    if (an_dataset_open(&dataset, path))
        fail_msg("%s", an_error_message());
    assert_int_equal(an_dataset_verify_databases(dataset), AN_ECORRUPT);
    if (!strstr(an_error_message(), word) || !strstr(an_error_message(), data))
        fail_msg("'%s' does not say '%s' of '%s'", an_error_message(), word, data);
    an_dataset_free(dataset);
    test_remove_all(path);
}

static void entries_of_rejected_inputs(void **state)
{
    static const struct {
        const char *value;
        size_t size;
    } values[] = {{"", 0}, {"1234567", 7}, {"12345678", 8}, {"12345678no end", 14}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        for (int number = 0; number < REJECTS; number += REJECTS - 1) {
            const uint8_t key[8] = {0, 0, 0, 0, 0, 0, 0, (uint8_t)number};
            refused(state, AN_DATASET_LAYOUT_REJECTED, key, sizeof key, values[i].value, values[i].size,
                    "rejected inputs");
        }
}

static void manifests(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "7", "{\"a\": 1} x"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        refused(state, AN_DATASET_LAYOUT_META, AN_DATASET_LAYOUT_MANIFEST, strlen(AN_DATASET_LAYOUT_MANIFEST), texts[i],
                strlen(texts[i]), "manifest");
}

/* What LMDB writes always passes, whatever the order and the number of transactions. */
static void what_lmdb_writes_passes(void **state)
{
    const char *path = test_path(state, "set"), *data = test_path(state, "set/data.mdb");
    test_dataset_make(path, &test_small, 3000, 700);
    for (int i = 0; i < 60; i++) {
        char key[16], value[3000];
        an_lmdb_file file;
        snprintf(key, sizeof key, "key %d", i * 37 % 60);
        memset(value, 'x', sizeof value);
        put(path, AN_DATASET_LAYOUT_META, key, strlen(key), value, (size_t)(i * 211 % 3000));
        assert_int_equal(an_lmdb_file_open(&file, data), AN_OK);
        if (an_lmdb_file_audit(&file))
            fail_msg("%s", an_error_message());
        an_lmdb_file_close(&file);
    }
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, test_folder_setup, test_folder_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(entries_of_rejected_inputs),
        IN_FOLDER(manifests),
        IN_FOLDER(what_lmdb_writes_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
