/* Faults at the border to the system: the linker's --wrap puts the functions below in place of pread and liburing's. */
#include <errno.h>
#include <liburing.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#include "base/error.h"
#include "tests/store/message.h"
#include "tests/store/reader/reader_support.h"

/* What goes wrong. Set while no reader exists. */
static struct {
    int percent;               /* of calls that get one of the transient faults */
    bool eio_first;            /* the first try of every read */
    uint64_t eio_from, eio_to; /* always, when a read begins in this range */
    int slow_us;
    int refuse_ring, refuse_buffers, fail_enter; /* errno values, or 0 */
} faults;
static atomic_uint_fast32_t draws, enters_failed;

static uint32_t draw(uint32_t bound)
{
    an_rng rng = an_rng_make(9, AN_RNG_TEST, 0, atomic_fetch_add(&draws, 1));
    return an_rng_below(&rng, bound);
}

static bool always_eio(uint64_t offset)
{
    return offset >= faults.eio_from && offset < faults.eio_to;
}

static int transient(int result)
{
    static const int errors[] = {-EINTR, -EAGAIN};
    uint32_t kind = draw(3);
    return kind < 2 ? errors[kind] : result > 1 ? 1 + (int)draw((uint32_t)result) : result;
}

ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset)
{
    if (faults.slow_us)
        usleep(draw((uint32_t)faults.slow_us));
    if (always_eio((uint64_t)offset)) {
        errno = EIO;
        return -1;
    }
    int result = (int)size;
    if ((int)draw(100) < faults.percent)
        result = transient(result);
    if (result >= 0)
        return __real_pread64(fd, buffer, (size_t)result, offset);
    errno = -result;
    return -1;
}

/* Completions are changed in the ring, before the reader sees them. */
unsigned __real_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes, unsigned count);
unsigned __wrap_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes, unsigned count);
unsigned __wrap_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes, unsigned count)
{
    unsigned got = __real_io_uring_peek_batch_cqe(ring, cqes, count);
    for (unsigned i = 0; i < got; i++) {
        an_read *read = io_uring_cqe_get_data(cqes[i]);
        if (!read)
            continue;
        if (always_eio(read->offset) || (faults.eio_first && read->errnum == 0))
            cqes[i]->res = -EIO;
        else if ((int)draw(100) < faults.percent)
            cqes[i]->res = transient(cqes[i]->res);
    }
    return got;
}

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned count)
{
    if (faults.slow_us)
        usleep(draw((uint32_t)faults.slow_us));
    if (faults.fail_enter && atomic_fetch_add(&enters_failed, 1) < 3)
        return -faults.fail_enter;
    return (int)draw(100) < faults.percent ? -EINTR : __real_io_uring_submit_and_wait(ring, count);
}

int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    return faults.refuse_ring ? -faults.refuse_ring : __real_io_uring_queue_init(entries, ring, flags);
}

int __real_io_uring_register_buffers(struct io_uring *ring, const struct iovec *vectors, unsigned count);
int __wrap_io_uring_register_buffers(struct io_uring *ring, const struct iovec *vectors, unsigned count);
int __wrap_io_uring_register_buffers(struct io_uring *ring, const struct iovec *vectors, unsigned count)
{
    return faults.refuse_buffers ? -faults.refuse_buffers : __real_io_uring_register_buffers(ring, vectors, count);
}

static int no_faults(void **state)
{
    (void)state;
    memset(&faults, 0, sizeof faults);
    atomic_store(&enters_failed, 0);
    return 0;
}

static const an_reader_engine engines[] = {AN_READER_URING, AN_READER_URING_DIRECT, AN_READER_PREAD};
#define ENGINES (sizeof engines / sizeof *engines)

/* ------------------------------------------------------------------------------------------------- the tests ---- */

static void transient_faults_give_the_right_bytes(void **state)
{
    faults.percent = 30;
    for (size_t e = 0; e < ENGINES; e++)
        for (int depth = 1; depth <= 64; depth = depth * 2 + 1) {
            test_stream stream;
            an_reader_stats stats;
            test_stream_open(&stream, *state, engines[e], depth);
            test_stream_run(&stream, 300);
            an_reader_stats_get(stream.reader, &stats);
            assert_true(stats.short_reads > 10 && stats.retries > 10);
            test_stream_close(&stream);
        }
}

static void slow_medium_gives_the_right_bytes(void **state)
{
    faults.slow_us = 2000;
    for (size_t e = 0; e < ENGINES; e++) {
        test_stream stream;
        an_reader_stats stats;
        test_stream_open(&stream, *state, engines[e], 16);
        test_stream_run(&stream, 60);
        an_reader_stats_get(stream.reader, &stats);
        assert_true(engines[e] != AN_READER_PREAD || stats.wait_ns > 0);
        test_stream_close(&stream);
    }
}

static void slow_medium_can_be_left(void **state)
{
    faults.slow_us = 3000;
    for (size_t e = 0; e < ENGINES; e++)
        for (int taken = 0; taken < 3; taken++) {
            test_stream stream;
            an_read *done;
            test_stream_open(&stream, *state, engines[e], 32);
            for (int i = 0; i < 32; i++)
                assert_int_equal(test_stream_submit(&stream, i), AN_OK);
            for (int i = 0; i < taken; i++)
                assert_int_equal(an_reader_wait(stream.reader, &done), AN_OK);
            test_stream_close(&stream);
        }
}

static void one_eio_is_retried(void **state)
{
    faults.eio_first = true;
    for (size_t e = 0; e < 2; e++) {
        test_stream stream;
        an_reader_stats stats;
        test_stream_open(&stream, *state, engines[e], 8);
        test_stream_run(&stream, 100);
        an_reader_stats_get(stream.reader, &stats);
        assert_int_equal(stats.retries, 100);
        test_stream_close(&stream);
    }
}

static void lasting_eio_is_an_error_with_a_place(void **state)
{
    faults.eio_from = 1 << 20;
    faults.eio_to = (1 << 20) + 8192;
    for (size_t e = 0; e < ENGINES; e++) {
        test_stream stream;
        an_read *done;
        test_stream_open(&stream, *state, engines[e], 2);
        stream.reads[0].offset = (1 << 20) + 4096;
        stream.reads[1].offset = 4096;
        for (int i = 0; i < 2; i++) {
            stream.reads[i].length = 4096;
            assert_int_equal(an_reader_submit(stream.reader, &stream.reads[i]), AN_OK);
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(an_reader_wait(stream.reader, &done), AN_OK);
            if (done == &stream.reads[0]) {
                assert_int_equal(an_reader_read_error(stream.reader, done), AN_EIO);
                assert_message(stream.file->path);
                assert_message("offset 1052672");
                assert_message("Input/output error");
                assert_null(done->data);
            } else {
                assert_int_equal(done->status, AN_OK);
                assert_memory_equal(done->data, stream.file->bytes + 4096, 4096);
            }
        }
        test_stream_close(&stream);
    }
}

static void refused_ring_falls_back_and_says_so(void **state)
{
    static const int reasons[] = {EPERM, ENOSYS, ENOMEM};
    static const an_reader_engine wanted[] = {AN_READER_URING, AN_READER_URING_DIRECT};
    for (size_t r = 0; r < 3; r++)
        for (size_t w = 0; w < 2; w++) {
            faults.refuse_ring = reasons[r];
            test_stream stream;
            test_stream_open(&stream, *state, wanted[w], 8);
            assert_int_equal(an_reader_engine_used(stream.reader), AN_READER_PREAD);
            assert_non_null(an_reader_note(stream.reader));
            assert_non_null(strstr(an_reader_note(stream.reader), "io_uring refused"));
            assert_non_null(strstr(an_reader_note(stream.reader), strerror(reasons[r])));
            assert_non_null(strstr(an_reader_note(stream.reader), "using pread"));
            test_stream_run(&stream, 50);
            test_stream_close(&stream);
        }
}

static void refused_registration_goes_on_without(void **state)
{
    faults.refuse_buffers = ENOMEM;
    for (size_t e = 0; e < ENGINES; e++) {
        test_stream stream;
        test_stream_open(&stream, *state, engines[e], 8);
        assert_int_equal(an_reader_buffers(stream.reader, stream.memory, stream.memory_size), AN_OK);
        test_stream_run(&stream, 50);
        test_stream_close(&stream);
    }
}

static void failing_ring_is_reported_and_can_be_freed(void **state)
{
    faults.fail_enter = EBADF;
    test_stream stream;
    an_read *done;
    test_stream_open(&stream, *state, AN_READER_URING, 4);
    assert_int_equal(test_stream_submit(&stream, 0), AN_OK);
    assert_int_equal(an_reader_wait(stream.reader, &done), AN_EIO);
    assert_message("io_uring");
    assert_message(stream.file->path);
    test_stream_close(&stream);
}

/* The real thing: a sandbox that does not let io_uring_setup through. */
static int deny_io_uring(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static int read_in_sandbox(const test_file *file)
{
    an_reader *reader;
    uint8_t bytes[1000];
    an_read read = {.offset = 77, .length = sizeof bytes, .buffer = bytes}, *done;
    if (deny_io_uring() || an_reader_create(&reader, file->path, &(an_reader_options){AN_READER_URING, 4}))
        return 1;
    bool good = an_reader_engine_used(reader) == AN_READER_PREAD && an_reader_note(reader) &&
                strstr(an_reader_note(reader), "io_uring refused (Operation not permitted)") &&
                !an_reader_submit(reader, &read) && !an_reader_wait(reader, &done) && !done->status &&
                memcmp(done->data, file->bytes + 77, sizeof bytes) == 0;
    an_reader_free(reader);
    return good ? 0 : 2;
}

static void a_sandbox_that_refuses_io_uring(void **state)
{
    int status;
    pid_t child = fork();
    assert_return_code(child, 0);
    if (child == 0)
        _exit(read_in_sandbox(*state));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_sandbox_that_refuses_io_uring, no_faults), /* first: it forks */
        cmocka_unit_test_setup(transient_faults_give_the_right_bytes, no_faults),
        cmocka_unit_test_setup(slow_medium_gives_the_right_bytes, no_faults),
        cmocka_unit_test_setup(slow_medium_can_be_left, no_faults),
        cmocka_unit_test_setup(one_eio_is_retried, no_faults),
        cmocka_unit_test_setup(lasting_eio_is_an_error_with_a_place, no_faults),
        cmocka_unit_test_setup(refused_ring_falls_back_and_says_so, no_faults),
        cmocka_unit_test_setup(refused_registration_goes_on_without, no_faults),
        cmocka_unit_test_setup(failing_ring_is_reported_and_can_be_freed, no_faults),
    };
    return cmocka_run_group_tests_name("reader_faults", tests, test_file_setup, test_file_teardown);
}
