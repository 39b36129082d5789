#include "train/watch/tensorboard.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/png.h"

struct an_tensorboard {
    FILE *file;
    char path[PATH_MAX];
    an_buffer event, summary, value, body; /* one message inside the other; reused */
};

/* ---- Records ---- */

uint32_t an_crc32c(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78 & (0u - (crc & 1)));
    }
    return ~crc;
}

static uint32_t masked_crc(const void *data, size_t size)
{
    uint32_t crc = an_crc32c(data, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static int write_record(an_tensorboard *board)
{
    uint64_t length = board->event.size;
    uint32_t length_crc = masked_crc(&length, sizeof(length)), crc = masked_crc(board->event.data, board->event.size);
    if (fwrite(&length, sizeof(length), 1, board->file) != 1 ||
        fwrite(&length_crc, sizeof(length_crc), 1, board->file) != 1 ||
        fwrite(board->event.data, 1, board->event.size, board->file) != board->event.size ||
        fwrite(&crc, sizeof(crc), 1, board->file) != 1 || fflush(board->file) != 0)
        return an_error_errno(errno, "cannot write '%s'", board->path);
    return AN_OK;
}

/* ---- Protobuf's wire format: append fields, the first error wins ---- */

enum { WIRE_VARINT = 0, WIRE_DOUBLE = 1, WIRE_BYTES = 2, WIRE_FLOAT = 5 };

static void put(int *rc, an_buffer *out, const void *data, size_t size)
{
    if (*rc == AN_OK)
        *rc = an_buffer_append(out, data, size);
}

static void put_varint(int *rc, an_buffer *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    put(rc, out, bytes, size);
}

static void put_key(int *rc, an_buffer *out, int field, int wire)
{
    put_varint(rc, out, (uint64_t)(field << 3 | wire));
}

static void put_unsigned(int *rc, an_buffer *out, int field, uint64_t value)
{
    put_key(rc, out, field, WIRE_VARINT);
    put_varint(rc, out, value);
}

static void put_double(int *rc, an_buffer *out, int field, double value)
{
    put_key(rc, out, field, WIRE_DOUBLE);
    put(rc, out, &value, sizeof(value));
}

static void put_bytes(int *rc, an_buffer *out, int field, const void *data, size_t size)
{
    put_key(rc, out, field, WIRE_BYTES);
    put_varint(rc, out, size);
    put(rc, out, data, size);
}

static void put_text(int *rc, an_buffer *out, int field, const char *text)
{
    put_bytes(rc, out, field, text, strlen(text));
}

/* ---- Event and Summary ---- */

enum { EVENT_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5, EVENT_SESSION = 7 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_IMAGE = 4, VALUE_HISTOGRAM = 5 };

static void begin_event(an_tensorboard *board, int *rc, uint64_t step)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    board->event.size = 0;
    put_double(rc, &board->event, EVENT_TIME, (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
    put_unsigned(rc, &board->event, EVENT_STEP, step);
}

static void begin_value(an_tensorboard *board, int *rc, const char *tag)
{
    board->value.size = board->summary.size = board->body.size = 0;
    put_text(rc, &board->value, VALUE_TAG, tag);
}

static int write_value(an_tensorboard *board, int rc, uint64_t step)
{
    put_bytes(&rc, &board->summary, SUMMARY_VALUE, board->value.data, board->value.size);
    begin_event(board, &rc, step);
    put_bytes(&rc, &board->event, EVENT_SUMMARY, board->summary.data, board->summary.size);
    return rc < 0 ? rc : write_record(board);
}

int an_tensorboard_scalar(an_tensorboard *board, uint64_t step, const char *tag, double value)
{
    int rc = AN_OK;
    float single = (float)value;
    begin_value(board, &rc, tag);
    put_key(&rc, &board->value, VALUE_SIMPLE, WIRE_FLOAT);
    put(&rc, &board->value, &single, sizeof(single));
    return write_value(board, rc, step);
}

int an_tensorboard_image(an_tensorboard *board, uint64_t step, const char *tag, const uint8_t *rgb, uint32_t width,
                         uint32_t height)
{
    enum { IMAGE_HEIGHT = 1, IMAGE_WIDTH = 2, IMAGE_COLOURS = 3, IMAGE_PNG = 4 };
    an_buffer png = {0};
    int rc = an_png_write(rgb, AN_PNG_RGB, width, height, (size_t)3 * width, &png);
    begin_value(board, &rc, tag);
    put_unsigned(&rc, &board->body, IMAGE_HEIGHT, height);
    put_unsigned(&rc, &board->body, IMAGE_WIDTH, width);
    put_unsigned(&rc, &board->body, IMAGE_COLOURS, 3);
    put_bytes(&rc, &board->body, IMAGE_PNG, png.data, png.size);
    put_bytes(&rc, &board->value, VALUE_IMAGE, board->body.data, board->body.size);
    an_buffer_free(&png);
    return write_value(board, rc, step);
}

/* ---- Histograms: TensorFlow's buckets, growing by a tenth from 1e-12, mirrored around zero ---- */

enum { POSITIVE = 776, BUCKETS = 2 * POSITIVE + 1 }; /* 1e-12 * 1.1^775 is about 1e20 */

static int bucket_of(double value)
{
    double magnitude = fabs(value);
    if (!(magnitude > 1e-12))
        return POSITIVE;
    int step = (int)ceil(log(magnitude / 1e-12) / log(1.1));
    if (step > POSITIVE - 1)
        step = POSITIVE - 1;
    return value > 0 ? POSITIVE + 1 + step : POSITIVE - 1 - step;
}

/* Upper limit of a bucket. */
static double bucket_limit(int bucket)
{
    if (bucket < POSITIVE)
        return -1e-12 * pow(1.1, POSITIVE - 1 - bucket - 1);
    if (bucket == POSITIVE)
        return 1e-12;
    return 1e-12 * pow(1.1, bucket - POSITIVE - 1);
}

typedef struct {
    double min, max, sum, squares;
    uint64_t finite;
    uint64_t counts[BUCKETS + 1];
} histogram;

static void fill(histogram *h, const float *values, uint64_t count)
{
    *h = (histogram){.min = HUGE_VAL, .max = -HUGE_VAL};
    for (uint64_t i = 0; i < count; i++) {
        double v = (double)values[i];
        if (!isfinite(v))
            continue;
        h->min = fmin(h->min, v);
        h->max = fmax(h->max, v);
        h->sum += v;
        h->squares += v * v;
        h->finite++;
        h->counts[bucket_of(v)]++;
    }
}

static void put_buckets(int *rc, an_buffer *out, const histogram *h)
{
    enum { HISTOGRAM_LIMITS = 6, HISTOGRAM_COUNTS = 7 };
    int first = bucket_of(h->min), last = bucket_of(h->max);
    size_t bytes = (size_t)(last - first + 1) * sizeof(double);
    put_key(rc, out, HISTOGRAM_LIMITS, WIRE_BYTES);
    put_varint(rc, out, bytes);
    for (int i = first; i <= last; i++) {
        double limit = bucket_limit(i);
        put(rc, out, &limit, sizeof(limit));
    }
    put_key(rc, out, HISTOGRAM_COUNTS, WIRE_BYTES);
    put_varint(rc, out, bytes);
    for (int i = first; i <= last; i++) {
        double counted = (double)h->counts[i];
        put(rc, out, &counted, sizeof(counted));
    }
}

int an_tensorboard_histogram(an_tensorboard *board, uint64_t step, const char *tag, const float *values, uint64_t count)
{
    enum { HISTOGRAM_MIN = 1, HISTOGRAM_MAX = 2, HISTOGRAM_NUMBER = 3, HISTOGRAM_SUM = 4, HISTOGRAM_SQUARES = 5 };
    int rc = AN_OK;
    histogram h;
    fill(&h, values, count);
    if (h.finite == 0)
        return AN_OK;
    begin_value(board, &rc, tag);
    put_double(&rc, &board->body, HISTOGRAM_MIN, h.min);
    put_double(&rc, &board->body, HISTOGRAM_MAX, h.max);
    put_double(&rc, &board->body, HISTOGRAM_NUMBER, (double)h.finite);
    put_double(&rc, &board->body, HISTOGRAM_SUM, h.sum);
    put_double(&rc, &board->body, HISTOGRAM_SQUARES, h.squares);
    put_buckets(&rc, &board->body, &h);
    put_bytes(&rc, &board->value, VALUE_HISTOGRAM, board->body.data, board->body.size);
    return write_value(board, rc, step);
}

/* ---- Files ---- */

static int begin_file(an_tensorboard *board, uint64_t step)
{
    int rc = AN_OK;
    begin_event(board, &rc, 0);
    put_text(&rc, &board->event, EVENT_VERSION, "brain.Event:2");
    if (rc == AN_OK)
        rc = write_record(board);
    begin_event(board, &rc, step + 1);                           /* TensorBoard drops this step and what follows */
    put_bytes(&rc, &board->event, EVENT_SESSION, "\x08\x01", 2); /* SessionLog { status: START } */
    return rc < 0 ? rc : write_record(board);
}

int an_tensorboard_open(an_tensorboard **out, const char *folder, uint64_t step)
{
    int rc = an_file_make_folder(folder);
    if (rc < 0)
        return rc;
    an_tensorboard *board = calloc(1, sizeof(*board));
    if (!board)
        return an_error(AN_ENOMEM, "out of memory for TensorBoard events");
    char host[64] = "host";
    (void)gethostname(host, sizeof(host) - 1); /* decoration */
    struct timespec now;                       /* files are read in the order of their names */
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(board->path, sizeof(board->path), "%s/events.out.tfevents.%010" PRId64 ".%09ld.%s.%ld", folder,
             (int64_t)now.tv_sec, now.tv_nsec, host, (long)getpid());
    board->file = fopen(board->path, "wbxe");
    rc = board->file ? begin_file(board, step) : an_error_errno(errno, "cannot create '%s'", board->path);
    if (rc < 0) {
        an_tensorboard_close(board);
        return rc;
    }
    *out = board;
    return AN_OK;
}

void an_tensorboard_close(an_tensorboard *board)
{
    if (!board)
        return;
    if (board->file)
        fclose(board->file);
    an_buffer_free(&board->event);
    an_buffer_free(&board->summary);
    an_buffer_free(&board->value);
    an_buffer_free(&board->body);
    free(board);
}
