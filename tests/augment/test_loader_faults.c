/* The loader over a system that misbehaves: the linker's --wrap puts the functions below in place of the real ones. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <liburing.h>

#include "base/error.h"
#include "base/rng.h"
#include "loader_support.h"

static struct {
    int trouble_percent; /* of the reads: cut short, or EINTR, or EAGAIN */
    uint64_t eio_from, eio_to;
    int slow_us; /* longest pause before a read */
    bool refuse_ring;
    int submits_left; /* until the reader as a whole fails; 0: it does not */
} faults;

static _Thread_local uint64_t calls;

static uint32_t draw(uint32_t bound)
{
    an_rng rng = an_rng_make(7, AN_RNG_TEST, 1, calls++);
    return an_rng_below(&rng, bound);
}

ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset)
{
    if (faults.slow_us)
        usleep(draw((uint32_t)faults.slow_us));
    if ((uint64_t)offset >= faults.eio_from && (uint64_t)offset < faults.eio_to) {
        errno = EIO;
        return -1;
    }
    if ((int)draw(100) >= faults.trouble_percent)
        return __real_pread64(fd, buffer, size, offset);
    switch (draw(3)) {
    case 0:
        errno = EINTR;
        return -1;
    case 1:
        errno = EAGAIN;
        return -1;
    default:
        return __real_pread64(fd, buffer, 1 + size / 3, offset);
    }
}

int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    return faults.refuse_ring ? -EPERM : __real_io_uring_queue_init(entries, ring, flags);
}

int __real_an_reader_submit(an_reader *reader, an_read *read);
int __wrap_an_reader_submit(an_reader *reader, an_read *read);
int __wrap_an_reader_submit(an_reader *reader, an_read *read)
{
    if (faults.submits_left && --faults.submits_left == 0)
        return an_error(AN_EIO, "the reader is broken");
    return __real_an_reader_submit(reader, read);
}

static int no_faults(void **state)
{
    (void)state;
    memset(&faults, 0, sizeof faults);
    return 0;
}

static void trouble_changes_no_byte(void **state)
{
    (void)state;
    an_loader_options o = plain();
    digest wanted = digest_from(&o, 0);
    o.engine = AN_READER_PREAD;
    faults.trouble_percent = 40;
    assert_true(same(digest_from(&o, 0), wanted));
    faults.slow_us = 500;
    o.depth = 4;
    o.threads = 3;
    assert_true(same(digest_from(&o, 0), wanted));
}

static void trouble_changes_no_payload(void **state)
{
    (void)state;
    an_loader_options o = bytes_options(AN_DECODE_HOST);
    digest wanted = digest_from(&o, 0);
    o.decode = AN_DECODE_DEVICE;
    o.engine = AN_READER_PREAD;
    faults.trouble_percent = 40;
    faults.slow_us = 500;
    o.threads = 3;
    assert_true(same(digest_from(&o, 0), wanted));
}

static void a_refused_ring_is_noted_and_replaced(void **state)
{
    (void)state;
    an_loader_options o = plain();
    o.engine = AN_READER_URING;
    digest wanted = digest_from(&o, 0);
    faults.refuse_ring = true;
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_engine(loader), AN_READER_PREAD);
    assert_non_null(an_loader_note(loader));
    assert_non_null(strstr(an_loader_note(loader), "io_uring"));
    an_loader_free(loader);
    assert_true(same(digest_from(&o, 0), wanted));
}

/* A sector that cannot be read: everything before it arrives, then the record is named. */
static void name_bad_sector(an_loader_options o)
{
    const an_index_entry *entry = &an_dataset_index(set.dataset)[100];
    an_batch batch;
    o.engine = AN_READER_PREAD;
    o.order = AN_ORDER_SEQUENTIAL;
    faults.eio_from = entry->offset;
    faults.eio_to = entry->offset + 1;
    an_loader *loader = start(&o);
    for (uint32_t step = 0; step < 100 / BATCH; step++) {
        assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        assert_int_equal(an_loader_release(loader, &batch), AN_OK);
    }
    assert_int_equal(an_loader_next(loader, &batch), AN_EIO);
    assert_non_null(strstr(an_error_message(), "record 100 ('class/100.png')"));
    assert_non_null(strstr(an_error_message(), set.path));
    an_loader_free(loader);
}

static void a_bad_sector_names_its_record(void **state)
{
    (void)state;
    name_bad_sector(plain());
    name_bad_sector(bytes_options(AN_DECODE_DEVICE));
}

static void stopping_does_not_wait_for_a_slow_disk_to_finish(void **state)
{
    (void)state;
    faults.slow_us = 20000;
    for (int i = 0; i < 10; i++) {
        an_batch batch;
        an_loader_options o = plain();
        o.engine = AN_READER_PREAD;
        o.depth = 1 + 7 * (i % 3);
        an_loader *loader = start(&o);
        if (i % 2)
            assert_int_equal(an_loader_next(loader, &batch), AN_OK);
        an_loader_free(loader);
    }
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int samples_begun;

static void pass_gate(void *context, int worker)
{
    (void)context, (void)worker;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    atomic_fetch_add(&samples_begun, 1);
}

/* The reader fails while a worker still makes the batch that is due. That the batch is complete a moment later does not
 * take the failure back. */
static void a_failure_stays(void **state)
{
    (void)state;
    enum { SMALL = 5, AT_ONCE = 4 /* samples that a worker takes together, at most */ };
    an_batch batch;
    an_loader_options o = plain();
    o.engine = AN_READER_PREAD;
    o.order = AN_ORDER_SEQUENTIAL;
    o.depth = 1; /* so that records arrive in order */
    o.threads = 1;
    o.batch = SMALL;
    o.worker_hook = pass_gate;
    faults.submits_left = SMALL + AT_ONCE + 1; /* in the second batch */
    atomic_store(&samples_begun, 0);
    pthread_mutex_lock(&gate);
    an_loader *loader = start(&o);
    assert_int_equal(an_loader_next(loader, &batch), AN_EIO);
    pthread_mutex_unlock(&gate);
    while (atomic_load(&samples_begun) < SMALL + AT_ONCE) /* then the first batch is complete */
        usleep(100);
    for (int i = 0; i < 3; i++) {
        int rc = i % 2 ? an_loader_try_next(loader, &batch) : an_loader_next(loader, &batch);
        assert_int_equal(rc, AN_EIO);
        assert_int_equal(batch.lease, 0);
        assert_non_null(strstr(an_error_message(), "the reader is broken"));
        assert_non_null(strstr(an_error_message(), set.path));
    }
    an_loader_free(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(trouble_changes_no_byte, no_faults),
        cmocka_unit_test_setup(trouble_changes_no_payload, no_faults),
        cmocka_unit_test_setup(a_refused_ring_is_noted_and_replaced, no_faults),
        cmocka_unit_test_setup(a_bad_sector_names_its_record, no_faults),
        cmocka_unit_test_setup(a_failure_stays, no_faults),
        cmocka_unit_test_setup(stopping_does_not_wait_for_a_slow_disk_to_finish, no_faults),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
