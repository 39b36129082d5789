/* Attacks the decoders of all codecs with damaged payloads under right checksums.
 *
 *     attack_payloads COUNT SEED CURRENT DIGESTS
 *
 * A mutant depends on SEED and its number alone. Each is decoded whole and as windows, and turned into the other
 * lossless codec. Where the whole picture decodes, every window must have its pixels; a window that decodes though the
 * whole picture does not is no fault, as rows outside it are not looked at. CURRENT always holds the record that is
 * being worked on, so that it is left behind by a crash. DIGESTS gets eight bytes for each mutant, a hash of all
 * answers and pixels: payloads.py compares those of the SIMD tiers (AN_SIMD). Exit status: 0, or 1 after a fault, with
 * a line that names mutant and fault. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/codec.h"
#include "tests/attack/payload_mutant.h"
#include "tests/store/jpeg_support.h"

enum { SEEDS = 48, SIDE_MAX = 512, WINDOWS = 3, SECONDS = 10, ROOM = 1 << 20 };

static struct {
    an_record_header header;
    an_buffer payload;
} seeds[SEEDS];
static an_decoder *decoder;
static an_encoder *encoder;
static uint8_t *current; /* mapped: ROOM bytes */
static unsigned long long number;
static XXH64_hash_t digest;
static bool faulty;
static unsigned long long decoded, windows_only, converted;

static void fault(const char *what)
{
    printf("mutant %llu: %s\n", number, what);
    faulty = true;
}

static void check(int rc, const char *what)
{
    if (!rc)
        return;
    fprintf(stderr, "attack_payloads: %s: %s\n", what, an_error_message());
    exit(2);
}

static void add_to_digest(const void *data, size_t size)
{
    digest = XXH3_64bits_withSeed(data, size, digest);
}

/* --- seeds ----------------------------------------------------------------------------------------------------- */

/* JPEG files of every kind. The first of them are what a dataset holds. */
static void make_jpeg(uint32_t i, uint32_t width, uint32_t height, an_buffer *out)
{
    test_jpeg spec = {.width = width,
                      .height = height,
                      .space = i % 7 == 6     ? TEST_GREY
                               : i % 11 == 10 ? TEST_YCCK
                                              : TEST_YCC,
                      .horizontal = i % 3 == 2 ? 1 : 2,
                      .vertical = i % 3 ? 1 : 2,
                      .progressive = i % 5 == 4,
                      .arithmetic = i % 13 == 12,
                      .optimized = i % 2,
                      .restart = i % 4 == 3 ? 2 : 0,
                      .quality = 30 + (int)(i * 17 % 71)};
    test_jpeg_make(&spec, i, out);
}

static void make_seeds(void)
{
    an_image image = {0};
    for (uint32_t i = 0; i < SEEDS; i++) {
        an_codec codec = an_codec_at(i % an_codec_count());
        uint32_t width = 1 + i * 29 % 83, height = 1 + i * 53 % 79;
        an_codec_options options = {codec, 20 + (int)(i * 37 % 81), (an_jpeg_subsampling)(i / 4 % 3)};
        test_image_make(&image, width, height, i);
        if (codec == AN_CODEC_JPEG && i >= SEEDS / 4)
            make_jpeg(i / 4, width, height, &seeds[i].payload);
        else
            check(an_encoder_encode(encoder, &image, &options, &seeds[i].payload), "making a seed");
        seeds[i].header = (an_record_header){.codec = codec, .width = width, .height = height};
    }
    an_image_free(&image);
}

/* --- checks ---------------------------------------------------------------------------------------------------- */

/* The record in memory of exactly its size, so that a sanitizer sees each byte read beyond it; also in `current`. */
static uint8_t *make_record(an_rng *rng, size_t *size)
{
    uint32_t i = an_rng_below(rng, SEEDS);
    an_record_header header = seeds[i].header;
    an_buffer payload = {0};
    check(mutate_payload(rng, &seeds[i].payload, header.codec, &payload), "mutating");
    if (an_rng_below(rng, 16) == 0)
        header.width = 1 + an_rng_below(rng, SIDE_MAX);
    if (an_rng_below(rng, 16) == 0)
        header.height = 1 + an_rng_below(rng, SIDE_MAX);
    header.length = (uint32_t)payload.size;
    *size = AN_RECORD_HEADER_SIZE + payload.size;
    uint8_t *record = malloc(*size);
    check(record ? AN_OK : an_error(AN_ENOMEM, "none left"), "memory");
    an_record_header_write(&header, payload.data, record);
    memcpy(record + AN_RECORD_HEADER_SIZE, payload.data, payload.size);
    memcpy(current, record, *size < ROOM ? *size : ROOM);
    an_buffer_free(&payload);
    return record;
}

/* Damaged data have three answers. */
static bool is_answer(int rc)
{
    return !rc || rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED;
}

static int decode(const an_record *record, const uint32_t w[4], uint8_t **out)
{
    size_t stride = 3 * (size_t)w[2], bytes = stride * w[3];
    *out = malloc(bytes);
    check(*out ? AN_OK : an_error(AN_ENOMEM, "none left"), "memory");
    int rc = an_decoder_window(decoder, record, w[0], w[1], w[2], w[3], *out, stride);
    if (!is_answer(rc))
        fault("an answer that damaged data do not have");
    add_to_digest(&rc, sizeof(rc));
    if (!rc)
        add_to_digest(*out, bytes);
    return rc;
}

static void check_window(const an_record *record, an_rng *rng, int whole_rc, const uint8_t *whole)
{
    uint32_t width = record->header.width, height = record->header.height;
    uint32_t x = an_rng_below(rng, width), y = an_rng_below(rng, height);
    const uint32_t w[4] = {x, y, 1 + an_rng_below(rng, width - x), 1 + an_rng_below(rng, height - y)};
    uint8_t *out;
    int rc = decode(record, w, &out);
    windows_only += !rc && whole_rc;
    if (rc && !whole_rc)
        fault("a window is refused, but not the whole picture");
    for (uint32_t row = 0; !rc && !whole_rc && row < w[3]; row++)
        if (memcmp(out + 3 * (size_t)row * w[2], whole + 3 * ((size_t)(y + row) * width + x), 3 * (size_t)w[2]) != 0) {
            fault("a window has other pixels than the whole picture");
            break;
        }
    free(out);
}

/* What a JPEG becomes without loss has its pixels. Back from hostile coefficients only the answer counts: they may be
 * beyond what JPEG files hold, or beyond the range in which all implementations agree. */
static void check_conversion(const an_record *record, int whole_rc, const uint8_t *whole)
{
    const an_record_header *h = &record->header;
    an_codec to = h->codec == AN_CODEC_JPEG ? AN_CODEC_COEF : AN_CODEC_JPEG;
    an_buffer made = {0};
    if (!an_codec_lossless(h->codec, to))
        return;
    int rc = an_encoder_convert(encoder, h->codec, record->payload, h->length, to, &made);
    if (!is_answer(rc))
        fault("an answer that damaged data do not have, on the way to another codec");
    add_to_digest(&rc, sizeof(rc));
    converted += !rc;
    if (!rc && !whole_rc && to == AN_CODEC_COEF) {
        const an_record other = {{to, h->width, h->height, 0, (uint32_t)made.size, 0}, made.data};
        uint8_t *out;
        if (decode(&other, (const uint32_t[4]){0, 0, h->width, h->height}, &out) ||
            memcmp(out, whole, 3 * (size_t)h->width * h->height) != 0)
            fault("a JPEG has other pixels than the coefficients made of it");
        free(out);
    }
    an_buffer_free(&made);
}

static void work(uint64_t seed)
{
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, 1, number);
    an_record record;
    size_t size;
    uint8_t *bytes = make_record(&rng, &size), *whole;
    digest = 0;
    if (an_record_parse(bytes, size, &record) || an_record_verify(&record))
        fault("a record with right checksums is refused");
    else {
        const an_record_header *h = &record.header;
        int rc = decode(&record, (const uint32_t[4]){0, 0, h->width, h->height}, &whole);
        decoded += !rc;
        for (int i = 0; i < WINDOWS; i++)
            check_window(&record, &rng, rc, whole);
        check_conversion(&record, rc, whole);
        free(whole);
    }
    free(bytes);
}

static void open_current(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, ROOM))
        check(an_error(AN_EIO, "cannot write it"), path);
    current = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(current == MAP_FAILED ? an_error(AN_ENOMEM, "it cannot be mapped") : AN_OK, path);
    (void)close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: attack_payloads COUNT SEED CURRENT DIGESTS\n");
        return 2;
    }
    unsigned long long count = strtoull(argv[1], NULL, 10), seed = strtoull(argv[2], NULL, 10);
    FILE *digests = fopen(argv[4], "wb");
    check(digests ? AN_OK : an_error(AN_EIO, "cannot write it"), argv[4]);
    (void)setvbuf(digests, NULL, _IONBF, 0); /* their number is that of the mutant which ended the program */
    check(an_decoder_create(&decoder), "a decoder");
    check(an_encoder_create(&encoder), "an encoder");
    open_current(argv[3]);
    make_seeds();
    for (number = 0; number < count && !faulty; number++) {
        /* Ends the program: a mutant that takes so much of the processor's time hangs. */
        check(setitimer(ITIMER_PROF, &(struct itimerval){.it_value.tv_sec = SECONDS}, NULL) ? AN_EIO : AN_OK,
              "a timer");
        work(seed);
        if (fwrite(&digest, sizeof(digest), 1, digests) != 1)
            check(an_error(AN_EIO, "cannot write it"), argv[4]);
    }
    printf("%llu mutants: %llu decode, %llu become another codec, %llu windows decode where the whole does not\n",
           number, decoded, converted, windows_only);
    check(fclose(digests) ? an_error(AN_EIO, "cannot write it") : AN_OK, argv[4]);
    for (int i = 0; i < SEEDS; i++)
        an_buffer_free(&seeds[i].payload);
    an_decoder_free(decoder);
    an_encoder_free(encoder);
    (void)munmap(current, ROOM);
    return faulty;
}
