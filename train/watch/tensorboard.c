#include "train/watch/tensorboard.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/png.h"
#include "train/watch/histogram.h"
#include "train/watch/wire.h"

struct an_tensorboard {
    FILE *file;
    char path[PATH_MAX];
    pthread_mutex_t lock; /* held while an event is put together and written; guards all of the following */
    an_buffer event, summary, value, body; /* each message goes into the one before it; kept to be used again */
};

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

static int write_bytes(an_tensorboard *board, const void *data, size_t size)
{
    return fwrite(data, 1, size, board->file) == size ? AN_OK : an_error_errno(errno, "cannot write '%s'", board->path);
}

/* The message in board->event. */
static int write_record(an_tensorboard *board)
{
    uint64_t length = board->event.size;
    uint32_t length_crc = masked_crc(&length, sizeof(length)), crc = masked_crc(board->event.data, board->event.size);
    int rc = write_bytes(board, &length, sizeof(length));
    if (rc)
        return rc;
    rc = write_bytes(board, &length_crc, sizeof(length_crc));
    if (rc)
        return rc;
    rc = write_bytes(board, board->event.data, board->event.size);
    if (rc)
        return rc;
    rc = write_bytes(board, &crc, sizeof(crc));
    if (rc)
        return rc;
    return fflush(board->file) == 0 ? AN_OK : an_error_errno(errno, "cannot write '%s'", board->path);
}

/* Numbers of fields, from event.proto and summary.proto. */
enum { EVENT_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5, EVENT_SESSION = 7 };
enum {
    SUMMARY_VALUE = 1,
    VALUE_TAG = 1,
    VALUE_SIMPLE = 2,
    VALUE_IMAGE = 4,
    VALUE_HISTOGRAM = 5,
    VALUE_TENSOR = 8,
    VALUE_METADATA = 9
};

static void begin_event(an_tensorboard *board, int *rc, uint64_t step)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    board->event.size = 0;
    an_wire_double(rc, &board->event, EVENT_TIME, (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
    an_wire_unsigned(rc, &board->event, EVENT_STEP, step);
}

/* Takes the lock; write_value gives it back. */
static void begin_value(an_tensorboard *board, int *rc, const char *tag)
{
    pthread_mutex_lock(&board->lock);
    board->value.size = board->summary.size = board->body.size = 0;
    an_wire_text(rc, &board->value, VALUE_TAG, tag);
}

/* Writes the value begun by begin_value. */
static int write_value(an_tensorboard *board, int rc, uint64_t step)
{
    an_wire_bytes(&rc, &board->summary, SUMMARY_VALUE, board->value.data, board->value.size);
    begin_event(board, &rc, step);
    an_wire_bytes(&rc, &board->event, EVENT_SUMMARY, board->summary.data, board->summary.size);
    if (!rc)
        rc = write_record(board);
    pthread_mutex_unlock(&board->lock);
    return rc;
}

int an_tensorboard_scalar(an_tensorboard *board, uint64_t step, const char *tag, double value)
{
    int rc = AN_OK;
    float single = (float)value;
    begin_value(board, &rc, tag);
    an_wire_key(&rc, &board->value, VALUE_SIMPLE, AN_WIRE_FLOAT);
    an_wire_put(&rc, &board->value, &single, sizeof(single));
    return write_value(board, rc, step);
}

int an_tensorboard_image(an_tensorboard *board, uint64_t step, const char *tag, const uint8_t *rgb, uint32_t width,
                         uint32_t height)
{
    enum { IMAGE_HEIGHT = 1, IMAGE_WIDTH = 2, IMAGE_COLOURS = 3, IMAGE_PNG = 4 };
    an_buffer png = {0};
    int rc = an_png_write(rgb, AN_PNG_RGB, width, height, (size_t)3 * width, &png);
    begin_value(board, &rc, tag);
    an_wire_unsigned(&rc, &board->body, IMAGE_HEIGHT, height);
    an_wire_unsigned(&rc, &board->body, IMAGE_WIDTH, width);
    an_wire_unsigned(&rc, &board->body, IMAGE_COLOURS, 3);
    an_wire_bytes(&rc, &board->body, IMAGE_PNG, png.data, png.size);
    an_wire_bytes(&rc, &board->value, VALUE_IMAGE, board->body.data, board->body.size);
    an_buffer_free(&png);
    return write_value(board, rc, step);
}

static void put_buckets(int *rc, an_buffer *out, const an_histogram *h)
{
    enum { HISTOGRAM_LIMITS = 6, HISTOGRAM_COUNTS = 7 };
    int first = an_histogram_bucket(h->min), last = an_histogram_bucket(h->max);
    size_t bytes = (size_t)(last - first + 1) * sizeof(double);
    an_wire_key(rc, out, HISTOGRAM_LIMITS, AN_WIRE_BYTES);
    an_wire_varint(rc, out, bytes);
    for (int i = first; i <= last; i++) {
        double limit = an_histogram_limit(i);
        an_wire_put(rc, out, &limit, sizeof(limit));
    }
    an_wire_key(rc, out, HISTOGRAM_COUNTS, AN_WIRE_BYTES);
    an_wire_varint(rc, out, bytes);
    for (int i = first; i <= last; i++) {
        double counted = (double)h->counts[i];
        an_wire_put(rc, out, &counted, sizeof(counted));
    }
}

int an_tensorboard_histogram(an_tensorboard *board, uint64_t step, const char *tag, const float *values, uint64_t count)
{
    enum { HISTOGRAM_MIN = 1, HISTOGRAM_MAX = 2, HISTOGRAM_NUMBER = 3, HISTOGRAM_SUM = 4, HISTOGRAM_SQUARES = 5 };
    int rc = AN_OK;
    an_histogram h;
    an_histogram_fill(&h, values, count);
    if (h.finite == 0)
        return AN_OK;
    begin_value(board, &rc, tag);
    an_wire_double(&rc, &board->body, HISTOGRAM_MIN, h.min);
    an_wire_double(&rc, &board->body, HISTOGRAM_MAX, h.max);
    an_wire_double(&rc, &board->body, HISTOGRAM_NUMBER, (double)h.finite);
    an_wire_double(&rc, &board->body, HISTOGRAM_SUM, h.sum);
    an_wire_double(&rc, &board->body, HISTOGRAM_SQUARES, h.squares);
    put_buckets(&rc, &board->body, &h);
    an_wire_bytes(&rc, &board->value, VALUE_HISTOGRAM, board->body.data, board->body.size);
    return write_value(board, rc, step);
}

/* SummaryMetadata { plugin_data { plugin_name, content } data_class: TENSOR } */
static void put_metadata(an_tensorboard *board, int *rc, const char *plugin, const an_buffer *content)
{
    enum { PLUGIN_NAME = 1, PLUGIN_CONTENT = 2, METADATA_PLUGIN = 1, METADATA_CLASS = 4, CLASS_TENSOR = 2 };
    an_buffer data = {0};
    an_wire_text(rc, &data, PLUGIN_NAME, plugin);
    an_wire_bytes(rc, &data, PLUGIN_CONTENT, content->data, content->size);
    an_wire_bytes(rc, &board->body, METADATA_PLUGIN, data.data, data.size);
    an_wire_unsigned(rc, &board->body, METADATA_CLASS, CLASS_TENSOR);
    an_wire_bytes(rc, &board->value, VALUE_METADATA, board->body.data, board->body.size);
    an_buffer_free(&data);
}

int an_tensorboard_plugin(an_tensorboard *board, uint64_t step, const char *tag, const char *plugin,
                          const an_buffer *content)
{
    static const char nothing[] =
        "\x08\x01\x12\x04\x12\x02\x08"; /* TensorProto { dtype: FLOAT, shape { dim { size: 0 } } } */
    int rc = AN_OK;
    begin_value(board, &rc, tag);
    an_wire_bytes(&rc, &board->value, VALUE_TENSOR, nothing, sizeof(nothing));
    put_metadata(board, &rc, plugin, content);
    return write_value(board, rc, step);
}

static int begin_file(an_tensorboard *board, uint64_t step)
{
    int rc = AN_OK;
    begin_event(board, &rc, 0);
    an_wire_text(&rc, &board->event, EVENT_VERSION, "brain.Event:2");
    if (!rc)
        rc = write_record(board);
    begin_event(board, &rc, step + 1); /* TensorBoard drops what it has of this step and later ones */
    an_wire_bytes(&rc, &board->event, EVENT_SESSION, "\x08\x01", 2); /* SessionLog { status: START } */
    return rc ? rc : write_record(board);
}

int an_tensorboard_open(an_tensorboard **out, const char *folder, uint64_t step)
{
    int rc = an_file_make_folder(folder);
    if (rc)
        return rc;
    an_tensorboard *board = calloc(1, sizeof(*board));
    if (!board)
        return an_error(AN_ENOMEM, "out of memory for TensorBoard events");
    pthread_mutex_init(&board->lock, NULL);
    char host[64] = "host";
    (void)gethostname(host, sizeof(host) - 1); /* only part of the name; "host" will do */
    struct timespec now;                       /* comes first, as TensorBoard reads files in the order of their names */
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(board->path, sizeof(board->path), "%s/events.out.tfevents.%010" PRId64 ".%09ld.%s.%ld", folder,
             (int64_t)now.tv_sec, now.tv_nsec, host, (long)getpid());
    board->file = fopen(board->path, "wbxe");
    rc = board->file ? begin_file(board, step) : an_error_errno(errno, "cannot create '%s'", board->path);
    if (rc) {
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
    pthread_mutex_destroy(&board->lock);
    free(board);
}
