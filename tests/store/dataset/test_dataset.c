#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/lmdb_file_private.h"
#include "tests/store/dataset/support.h"
#include "tests/store/message.h"

/* ------------------------------------------------------------------------------------------------ bad opens ---- */

static void expect_failure(const char *path, int code, const char *part)
{
    an_dataset *dataset;
    assert_int_equal(an_dataset_open(&dataset, path), code);
    assert_null(dataset);
    assert_message(part);
    assert_message(path);
}

static void missing_folder(void **state)
{
    expect_failure(test_path(state, "none"), AN_ENOTFOUND, "cannot open dataset");
}

static void not_a_folder(void **state)
{
    const char *path = test_path(state, "file");
    assert_int_equal(an_file_write_atomic(path, "x", 1), AN_OK);
    expect_failure(path, AN_ECORRUPT, "a dataset is a folder");
}

static void folder_without_data(void **state)
{
    expect_failure(*state, AN_ECORRUPT, "it has no file data.mdb");
}

static void not_lmdb(void **state)
{
    const char *file = test_path(state, "data.mdb");
    char junk[10000] = {0};
    const size_t sizes[] = {0, 1, 511, 512, 4096, sizeof junk};
    for (int fill = 0; fill < 2; fill++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            memset(junk, fill ? 0xFF : 0, sizeof junk);
            assert_int_equal(an_file_write_atomic(file, junk, sizes[i]), AN_OK);
            expect_failure(*state, AN_ECORRUPT, "not an LMDB data file");
        }
}

static void make_foreign(const char *path, const char *database, const char *key, const char *value)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v = {strlen(value), (void *)(uintptr_t)value};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOLOCK, 0666), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, database, MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void lmdb_but_not_ours(void **state)
{
    make_foreign(*state, NULL, "some", "thing");
    expect_failure(*state, AN_ECORRUPT, "is an LMDB file, but not a dataset");
    make_foreign(*state, "meta", "some", "thing");
    expect_failure(*state, AN_ECORRUPT, "is an LMDB file, but not a dataset");
    make_foreign(*state, "meta", "format", "\2\1\1\1");
    expect_failure(*state, AN_EUNSUPPORTED, "is of format");
}

static void unfinished(void **state)
{
    an_statistics_sums sums;
    const char *path = test_path(state, "set");
    an_writer *writer = test_writer_open(path, &sums);
    test_put(writer, &sums, &test_small, 0);
    assert_int_equal(an_writer_commit(writer), AN_OK);
    an_writer_close(writer);
    an_statistics_sums_free(&sums);
    expect_failure(path, AN_ENOTFOUND, "is unfinished");
    expect_failure(path, AN_ENOTFOUND, "an-ingest command again, or a writer with the same options");
    expect_failure(test_path(state, "set.partial"), AN_ECORRUPT, "is unfinished");
    expect_failure(test_path(state, "set.partial"), AN_ECORRUPT, "or a writer with the same options");
}

/* At any length: an error, never SIGBUS. */
static void truncated(void **state)
{
    const char *path = test_path(state, "set"), *file = test_path(state, "set/data.mdb");
    test_dataset_make(path, &test_small, 40, 3);
    struct stat info;
    assert_return_code(stat(file, &info), 0);
    for (off_t size = info.st_size - 1; size >= 0; size -= size > 9000 ? 3001 : 257) {
        assert_return_code(truncate(file, size), 0);
        an_dataset *dataset;
        assert_int_equal(an_dataset_open(&dataset, path), AN_ECORRUPT);
        assert_message(file);
    }
}

static void read_only_folder(void **state)
{
    const char *path = test_path(state, "set"), *file = test_path(state, "set/data.mdb");
    test_dataset_make(path, &test_small, 10, 0);
    assert_return_code(chmod(file, 0444), 0);
    assert_return_code(chmod(path, 0555), 0);
    assert_return_code(chmod(*state, 0755), 0);
    uid_t user = geteuid();
    assert_return_code(user == 0 ? seteuid(65534) : 0, 0);
    test_dataset_check(path, &test_small, 10, 0);
    assert_return_code(seteuid(user), 0);
    assert_return_code(chmod(path, 0755), 0);
}

/* --------------------------------------------------------------------------------------------- what it says ---- */

static void out_of_range(void **state)
{
    const char *path = test_path(state, "set");
    an_dataset *dataset;
    an_record record;
    const char *name;
    size_t length;
    test_dataset_make(path, &test_small, 5, 0);
    assert_int_equal(an_dataset_open(&dataset, path), AN_OK);
    assert_int_equal(an_dataset_record(dataset, 5, &record), AN_EINVAL);
    assert_message("there is no record 5");
    assert_int_equal(an_dataset_name(dataset, UINT64_MAX, &name, &length), AN_EINVAL);
    an_dataset_free(dataset);
    an_dataset_free(NULL);
}

static uint64_t fingerprint(const char *path)
{
    an_dataset *dataset;
    assert_int_equal(an_dataset_open(&dataset, path), AN_OK);
    uint64_t value = an_dataset_fingerprint(dataset);
    an_dataset_free(dataset);
    return value;
}

static void fingerprint_follows_contents(void **state)
{
    const char *a = test_path(state, "a"), *b = test_path(state, "b"), *c = test_path(state, "c");
    test_dataset_make(a, &test_small, 50, 0);
    test_dataset_make(b, &test_small, 50, 2);
    test_dataset_make(c, &test_small, 51, 0);
    assert_true(fingerprint(a) == fingerprint(b));
    assert_true(fingerprint(a) != fingerprint(c));
}

static void index_offsets_are_file_offsets(void **state)
{
    const char *path = test_path(state, "set");
    an_dataset *dataset;
    test_dataset_make(path, &test_small, 100, 0);
    assert_int_equal(an_dataset_open(&dataset, path), AN_OK);
    int fd = open(an_dataset_file(dataset), O_RDONLY);
    assert_return_code(fd, 0);
    uint8_t *bytes = malloc(an_dataset_record_max(dataset));
    assert_non_null(bytes);
    uint32_t longest = 0;
    for (uint64_t i = 0; i < 100; i++) {
        const an_index_entry *entry = &an_dataset_index(dataset)[i];
        an_record mapped, read;
        assert_int_equal(an_file_pread(fd, bytes, entry->length, entry->offset, "data"), AN_OK);
        assert_int_equal(an_record_parse(bytes, entry->length, &read), AN_OK);
        assert_int_equal(an_dataset_record(dataset, i, &mapped), AN_OK);
        assert_memory_equal(mapped.payload, read.payload, read.header.length);
        longest = entry->length > longest ? entry->length : longest;
    }
    assert_int_equal(an_dataset_record_max(dataset), longest);
    assert_int_equal(an_dataset_file_size(dataset), lseek(fd, 0, SEEK_END));
    free(bytes);
    assert_return_code(close(fd), 0);
    an_dataset_free(dataset);
}

/* Pages of files in this process's memory. */
static long resident_file_pages(void)
{
    long shared = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d %*d %ld", &shared), 1);
    assert_return_code(fclose(file), 0);
    return shared;
}

static void an_open_dataset_takes_little_memory(void **state)
{
    const char *path = test_path(state, "set");
    an_dataset *dataset;
    test_dataset_make(path, &test_small, 4000, 0);
    long before = resident_file_pages();
    assert_int_equal(an_dataset_open(&dataset, path), AN_OK);
    long pages = resident_file_pages() - before, whole = (long)(an_dataset_file_size(dataset) / 4096);
    if (pages > whole / 4)
        fail_msg("%ld of the file's %ld pages are in memory", pages, whole);
    an_dataset_free(dataset);
}

/* LMDB itself is the judge of how its file is read. */
typedef struct {
    const an_lmdb_file *file;
    MDB_txn *txn;
    MDB_cursor *cursor;
    char database[16];
    uint64_t items;
} judge;

static int compare_with_lmdb(void *context, const an_lmdb_item *item)
{
    judge *j = context;
    MDB_val key, value;
    MDB_dbi dbi;
    if (strcmp(j->database, item->database) != 0) {
        assert_int_equal(mdb_dbi_open(j->txn, item->database, 0, &dbi), 0);
        if (j->cursor) {
            assert_int_equal(mdb_cursor_get(j->cursor, &key, &value, MDB_NEXT), MDB_NOTFOUND);
            mdb_cursor_close(j->cursor);
        }
        assert_int_equal(mdb_cursor_open(j->txn, dbi, &j->cursor), 0);
        strncpy(j->database, item->database, sizeof j->database - 1);
    }
    assert_int_equal(mdb_cursor_get(j->cursor, &key, &value, MDB_NEXT), 0); /* the first if it is new */
    assert_int_equal(key.mv_size, item->key_size);
    assert_memory_equal(key.mv_data, item->key, key.mv_size);
    assert_int_equal(value.mv_size, item->length);
    assert_memory_equal(value.mv_data, j->file->data + item->offset, value.mv_size);
    j->items++;
    return AN_OK;
}

static void the_walk_sees_what_lmdb_sees(void **state)
{
    const char *path = test_path(state, "set"), *data = test_path(state, "set/data.mdb");
    MDB_env *env;
    an_lmdb_file file;
    judge j = {.file = &file};
    test_dataset_make(path, &test_small, 3000, 700);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK, 0), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &j.txn), 0);
    assert_int_equal(an_lmdb_file_open(&file, data), AN_OK);
    assert_int_equal(an_lmdb_file_walk(&file, NULL, compare_with_lmdb, &j), AN_OK);
    assert_int_equal(j.items, 3000 + 3000 + 700 + TEST_CLASSES + 8);
    mdb_cursor_close(j.cursor);
    mdb_txn_abort(j.txn);
    mdb_env_close(env);
    an_lmdb_file_close(&file);
}

static int stop_at_third(void *context, const an_lmdb_item *item)
{
    (void)item;
    return ++*(int *)context == 3 ? 77 : AN_OK;
}

static void a_visit_ends_the_walk(void **state)
{
    an_lmdb_file file;
    int seen = 0;
    test_dataset_make(test_path(state, "set"), &test_small, 10, 0);
    assert_int_equal(an_lmdb_file_open(&file, test_path(state, "set/data.mdb")), AN_OK);
    assert_int_equal(an_lmdb_file_walk(&file, NULL, stop_at_third, &seen), 77);
    assert_int_equal(seen, 3);
    an_lmdb_file_close(&file);
}

/* --------------------------------------------------------------------------------------------- flipped bits ---- */

/* Everything a reader can learn from a dataset, in one number; 0 if damage was reported. */
static uint64_t digest(const char *path)
{
    an_dataset *dataset;
    if (an_dataset_open(&dataset, path))
        return 0;
    uint64_t sum = an_dataset_fingerprint(dataset) | 1;
    int rc = an_dataset_verify_headers(dataset);
    for (uint64_t i = 0; !rc && i < an_dataset_count(dataset); i++) {
        an_record record;
        rc = an_dataset_record(dataset, i, &record);
        if (!rc)
            rc = an_record_verify(&record);
        if (!rc)
            sum = sum * 31 + record.header.checksum;
    }
    an_dataset_free(dataset);
    return rc ? 0 : sum;
}

typedef struct {
    const char *path;
    int fd;
    uint8_t *bytes;
    uint64_t size, expected;
    int reported, harmless;
} flips;

static void flip(flips *f, uint64_t position, int bit)
{
    uint8_t changed = (uint8_t)(f->bytes[position] ^ 1 << bit);
    assert_int_equal(pwrite(f->fd, &changed, 1, (off_t)position), 1);
    uint64_t found = digest(f->path);
    if (found == 0)
        f->reported++;
    else if (found == f->expected)
        f->harmless++;
    else
        fail_msg("bit %d of byte %llu changes what is read, unreported", bit, (unsigned long long)position);
    assert_int_equal(pwrite(f->fd, &f->bytes[position], 1, (off_t)position), 1);
}

static void open_flips(flips *f, void **state, const test_recipe *recipe, uint64_t count)
{
    *f = (flips){.path = test_path(state, "set")};
    const char *file = test_path(state, "set/data.mdb");
    test_dataset_make(f->path, recipe, count, 5);
    an_buffer buffer = {0};
    assert_int_equal(an_file_read(file, SIZE_MAX / 2, &buffer), AN_OK);
    f->bytes = buffer.data;
    f->size = buffer.size;
    f->expected = digest(f->path);
    assert_true(f->expected != 0);
    f->fd = open(file, O_RDWR);
    assert_return_code(f->fd, 0);
}

static void close_flips(flips *f)
{
    assert_return_code(close(f->fd), 0);
    free(f->bytes);
}

/* Headers of all pages and random places everywhere. Same lengths and labels, so that only checksums can tell records
 * apart. */
static void single_bit_flips_are_reported_or_harmless(void **state)
{
    static const uint32_t same[] = {5000};
    const test_recipe recipes[] = {{same, 1}, test_small};
    for (int r = 0; r < 2; r++) {
        flips f;
        open_flips(&f, state, &recipes[r], 24);
        an_rng rng = an_rng_make(5, AN_RNG_TEST, 0, (uint64_t)r);
        for (uint64_t page = 0; page < f.size / 4096; page++)
            for (uint64_t i = 0; i < (page < 2 ? 160 : 80); i++) /* meta pages have longer headers */
                flip(&f, page * 4096 + i, (int)an_rng_below(&rng, 8));
        for (int i = 0; i < 1500; i++)
            flip(&f, an_rng_below(&rng, (uint32_t)f.size), (int)an_rng_below(&rng, 8));
        assert_true(f.reported > 500 && f.harmless > 0);
        close_flips(&f);
        test_remove_all(f.path);
    }
}

static void random_garbage_is_no_crash(void **state)
{
    flips f;
    open_flips(&f, state, &test_small, 24);
    an_rng rng = an_rng_make(6, AN_RNG_TEST, 0, 0);
    for (int round = 0; round < 1200; round++) {
        uint8_t junk[64];
        uint32_t size = 1 + an_rng_below(&rng, sizeof junk), kind = an_rng_below(&rng, 3);
        for (uint32_t i = 0; i < size; i++)
            junk[i] = kind == 0 ? 0 : kind == 1 ? 0xFF : (uint8_t)an_rng_u32(&rng);
        uint64_t page = an_rng_below(&rng, (uint32_t)(f.size / 4096)) * 4096;
        uint64_t position = page + an_rng_below(&rng, an_rng_below(&rng, 2) ? 200 : 4096 - size);
        assert_int_equal(pwrite(f.fd, junk, size, (off_t)position), size);
        uint64_t found = digest(f.path);
        assert_true(found == 0 || found == f.expected);
        assert_int_equal(pwrite(f.fd, f.bytes + position, size, (off_t)position), size);
    }
    close_flips(&f);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, test_folder_setup, test_folder_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(missing_folder),
        IN_FOLDER(not_a_folder),
        IN_FOLDER(folder_without_data),
        IN_FOLDER(not_lmdb),
        IN_FOLDER(lmdb_but_not_ours),
        IN_FOLDER(unfinished),
        IN_FOLDER(truncated),
        IN_FOLDER(read_only_folder),
        IN_FOLDER(out_of_range),
        IN_FOLDER(fingerprint_follows_contents),
        IN_FOLDER(index_offsets_are_file_offsets),
        IN_FOLDER(an_open_dataset_takes_little_memory),
        IN_FOLDER(the_walk_sees_what_lmdb_sees),
        IN_FOLDER(a_visit_ends_the_walk),
        IN_FOLDER(single_bit_flips_are_reported_or_harmless),
        IN_FOLDER(random_garbage_is_no_crash),
    };
    return cmocka_run_group_tests_name("dataset", tests, NULL, NULL);
}
