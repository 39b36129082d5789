/* The floor of an ingest: libjpeg-turbo alone, in parallel. Every file given on standard input (one path a line) is
 * read, decoded at full size, and a 256 x 256 cut of it is encoded at quality 90, 4:2:0. No resize, no store.
 *   bench-ingest-floor THREADS < list */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/thread.h"
#include "store/jpeg/jpeg.h"

#define SIDE 256u
#define FILE_MAX ((size_t)1 << 28)
#define PIXELS_MAX ((uint64_t)1 << 28)

static char **paths;
static size_t count;
static atomic_size_t next, bytes_out;

static void cut(const an_image *from, an_image *to)
{
    uint32_t width = from->width < SIDE ? from->width : SIDE, height = from->height < SIDE ? from->height : SIDE;
    if (an_image_set_size(to, width, height))
        return;
    for (uint32_t y = 0; y < height; y++)
        memcpy(to->pixels + (size_t)3 * width * y, from->pixels + (size_t)3 * from->width * y, (size_t)3 * width);
}

static int one(an_jpeg_decoder *decoder, an_jpeg_encoder *encoder, const char *path, an_buffer *in, an_buffer *out,
               an_image *whole, an_image *part)
{
    in->size = out->size = 0;
    int rc = an_file_read(path, FILE_MAX, in);
    if (!rc)
        rc = an_jpeg_decode(decoder, in->data, in->size, 0, PIXELS_MAX, whole, NULL);
    if (rc)
        return rc;
    cut(whole, part);
    rc = an_jpeg_encode(encoder, part, 90, AN_JPEG_420, out);
    atomic_fetch_add(&bytes_out, out->size);
    return rc;
}

static void *work(void *unused)
{
    an_jpeg_decoder *decoder = NULL;
    an_jpeg_encoder *encoder = NULL;
    an_buffer in = {0}, out = {0};
    an_image whole = {0}, part = {0};
    (void)unused;
    int rc = an_jpeg_decoder_create_plain(&decoder);
    if (!rc)
        rc = an_jpeg_encoder_create(&encoder);
    for (size_t i = atomic_fetch_add(&next, 1); !rc && i < count; i = atomic_fetch_add(&next, 1))
        if (one(decoder, encoder, paths[i], &in, &out, &whole, &part))
            fprintf(stderr, "%s\n", an_error_message());
    an_jpeg_decoder_free(decoder);
    an_jpeg_encoder_free(encoder);
    an_buffer_free(&in);
    an_buffer_free(&out);
    an_image_free(&whole);
    an_image_free(&part);
    return NULL;
}

static int read_list(void)
{
    char *line = NULL;
    size_t capacity = 0, room = 0;
    for (ssize_t n; (n = getline(&line, &capacity, stdin)) > 0; count++) {
        line[strcspn(line, "\n")] = 0;
        if (count == room) {
            room = room ? 2 * room : 1024;
            paths = realloc(paths, room * sizeof(*paths));
            if (!paths)
                return 1;
        }
        paths[count] = strdup(line);
        if (!paths[count])
            return 1;
    }
    free(line);
    return 0;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : an_thread_cpu_count();
    pthread_t running[64];
    if (threads < 1 || threads > 64 || read_list())
        return 2;
    uint64_t start = an_clock_ns();
    for (int i = 0; i < threads; i++)
        if (an_thread_start(&running[i], "floor", work, NULL))
            return 1;
    for (int i = 0; i < threads; i++)
        pthread_join(running[i], NULL);
    double seconds = an_clock_seconds_since(start);
    printf("%.1f images/s, %zu images in %.3f s, %.1f MB encoded\n", (double)count / seconds, count, seconds,
           (double)atomic_load(&bytes_out) / 1e6);
    return 0;
}
