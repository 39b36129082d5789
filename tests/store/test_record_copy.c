/* Copying a payload gives its bytes and the checksum of the library that made it, with every SIMD tier. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "base/cpu.h"
#include "base/error.h"
#include "store/record.h"
#include "store/record_copy_private.h"
#include "tests/store/message.h"

enum { LONGEST = 4 * 1024 + 130, MARGIN = 64, ROOM = (LONGEST / MARGIN + 5) * MARGIN };

static uint8_t *make_noise(size_t size)
{
    uint8_t *bytes = malloc(size);
    uint32_t state = 12345;
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
    return bytes;
}

static void check_copy(an_simd_tier tier, uint8_t *to, const uint8_t *from, size_t size)
{
    memset(to - MARGIN, 0xa5, size + 2 * (size_t)MARGIN);
    const an_record_span span = {from, size, size % 2 ? from : NULL, size % 2 ? size : 0};
    uint64_t hash = an_record_copy_bytes(tier, to, &span);
    if (hash != XXH3_64bits(from, size))
        fail_msg("tier %s: another hash of %zu bytes", an_cpu_simd_name(tier), size);
    assert_memory_equal(to, from, size);
    for (size_t i = 1; i <= MARGIN; i++)
        assert_true(to[-(ptrdiff_t)i] == 0xa5 && to[size + i - 1] == 0xa5);
}

static void every_length_has_the_library_s_hash(void **state)
{
    (void)state;
    uint8_t *noise = make_noise(ROOM), *room = aligned_alloc(MARGIN, ROOM + 2 * (size_t)MARGIN);
    assert_non_null(room);
    for (int tier = AN_SIMD_SCALAR; tier <= (int)an_cpu_simd_best(); tier++)
        for (size_t size = 1; size <= LONGEST; size++) {
            static const size_t shifts[] = {0, 16, 32, 48, 5};
            size_t shift = shifts[size % 5];
            uint8_t *exact = malloc(size); /* so that the sanitizer sees a read beyond the end */
            memcpy(exact, noise + size % 61, size);
            check_copy((an_simd_tier)tier, room + MARGIN + shift, exact, size);
            free(exact);
        }
    free(noise);
    free(room);
}

static void a_changed_byte_anywhere_is_found(void **state)
{
    (void)state;
    enum { LENGTH = 2345 };
    uint8_t *payload = make_noise(LENGTH), *out = malloc(LENGTH), header[AN_RECORD_HEADER_SIZE];
    an_record record = {.header = {.codec = AN_CODEC_JPEG, .width = 8, .height = 8, .length = LENGTH},
                        .payload = payload};
    an_record_header_write(&record.header, payload, header);
    assert_int_equal(an_record_copy(&record, out, NULL, 0), AN_OK);
    assert_memory_equal(out, payload, LENGTH);
    for (size_t i = 0; i < LENGTH; i++) {
        payload[i] ^= 4;
        assert_int_equal(an_record_copy(&record, out, NULL, 0), AN_ECORRUPT);
        payload[i] ^= 4;
    }
    assert_int_equal(an_record_verify(&record), AN_OK);
    payload[7] ^= 4;
    assert_int_equal(an_record_copy(&record, out, NULL, 0), AN_ECORRUPT);
    assert_message("damaged record payload: checksum differs");
    free(payload);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_has_the_library_s_hash),
        cmocka_unit_test(a_changed_byte_anywhere_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
