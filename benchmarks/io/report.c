/* Rates from results, and what an-bench-io prints. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/program/print.h"
#include "base/text/utf8.h"
#include "benchmarks/io/bench_io.h"

double bench_rate(const bench_result *result)
{
    return result->seconds > 0 ? (double)result->images / result->seconds : 0;
}

double bench_cost(const bench_result *result)
{
    return result->images ? result->threads * result->seconds / (double)result->images : 0;
}

double bench_round_seconds(const bench_config *config)
{
    return config->seconds / config->rounds;
}

double bench_cpu_cost(const bench_result *result)
{
    return result->images ? result->cpu_seconds / (double)result->images : 0;
}

double bench_bus(const bench_full *full)
{
    return full->result.images ? (double)full->bus_bytes / (double)full->result.images : 0;
}

double bench_payload(const bench_full *full)
{
    return full->result.images ? (double)full->payload_bytes / (double)full->result.images : 0;
}

const bench_full *bench_last(const bench_report *report)
{
    if (report->full_count)
        return &report->full[report->full_count - 1];
    return report->payload_count ? &report->payload[report->payload_count - 1] : NULL;
}

static double megabytes(const bench_result *result)
{
    return result->seconds > 0 ? (double)result->bytes / result->seconds * 1e-6 : 0;
}

/* Mean bytes of a payload, as "an-ingest info" tells them. */
static double payload_mean(const an_dataset *dataset)
{
    uint64_t sum = 0, count = an_dataset_count(dataset);
    for (uint64_t i = 0; i < count; i++)
        sum += an_dataset_index(dataset)[i].length - AN_RECORD_HEADER_SIZE;
    return count ? (double)sum / (double)count : 0;
}

static double percent(uint64_t part, double whole_ns)
{
    return whole_ns > 0 ? 100 * (double)part / whole_ns : 0;
}

static void print_line(const char *stage, const bench_result *result)
{
    if (!result->threads)
        return;
    printf("  %-8s %3d thread%s %10.0f images/s %9.1f MB/s %8.1f us/image/thread\n", stage, result->threads,
           result->threads == 1 ? " " : "s", bench_rate(result), megabytes(result), bench_cost(result) * 1e6);
}

static void print_scaling(const bench_full *full, int count)
{
    double first = bench_rate(&full[0].result) / full[0].result.threads;
    if (count < 2)
        return;
    printf("\nscaling    threads   images/s   speed-up   efficiency\n");
    for (int i = 0; i < count; i++) {
        const bench_result *r = &full[i].result;
        printf("         %9d %10.0f %9.2fx %10.0f %%\n", r->threads, bench_rate(r),
               bench_rate(r) / bench_rate(&full[0].result), 100 * bench_rate(r) / (first * r->threads));
    }
}

static void print_cost(const char *stage, const bench_full *full)
{
    double bus = bench_bus(full), payload = bench_payload(full);
    printf("  %-8s %8d %28.2f %22.0f %15.3fx\n", stage, full->result.threads, bench_cpu_cost(&full->result) * 1e6, bus,
           payload > 0 ? bus / payload : 0);
}

/* What undecoded records cost the host, and the bus to a device. */
static void print_costs(const bench_report *report)
{
    if (report->payload_count)
        printf("\nundecoded  threads   us of a processor an image   bytes across the bus   of the payload\n");
    for (int i = 0; i < report->payload_count; i++)
        print_cost("payload", &report->payload[i]);
    if (report->device.decode.threads)
        print_cost("device", &report->device.full);
}

/* Alone, and behind the loader. */
static void print_device(const bench_config *config, const bench_device *device)
{
    const bench_result *decode = &device->decode;
    if (!decode->threads)
        return;
    printf("  decoding on %-9s %10.0f images/s  %.1f us a batch of %d; %.0f MB there\n", config->devices,
           bench_rate(decode), bench_rate(decode) > 0 ? config->batch / bench_rate(decode) * 1e6 : 0, config->batch,
           (double)device->memory * 1e-6);
    print_line("device", &device->full.result);
}

static void print_times(const bench_full *full)
{
    const an_loader_stats *s = &full->stats;
    double elapsed = (double)s->elapsed_ns, workers = elapsed * s->threads;
    printf("\nwhere the time went, %d threads, engine %s\n", s->threads, an_reader_engine_name(full->engine));
    printf("  workers    busy %5.1f %%   wait for records %5.1f %%   wait for a slot %5.1f %%\n",
           percent(s->worker_busy_ns, workers), percent(s->worker_wait_read_ns, workers),
           percent(s->worker_wait_slot_ns, workers));
    printf("  reading    wait for the disk %5.1f %%   wait for free buffers %5.1f %%\n",
           percent(s->reader_wait_ns, elapsed), percent(s->reader_blocked_ns, elapsed));
    printf("  consumer   waited %5.1f %%\n", percent(s->consumer_wait_ns, elapsed));
    if (full->note[0])
        printf("  note: %s\n", full->note);
}

/* Where the time went, and what follows. */
static void print_end(const bench_report *report)
{
    char text[256];
    const bench_full *last = bench_last(report);
    if (!last)
        return;
    print_times(last);
    an_loader_verdict(&last->stats, text, sizeof text);
    printf("\nverdict: %s\n", report->verdict.stage ? report->verdict.text : text);
}

int bench_print_text(const bench_config *config, const an_dataset *dataset, const bench_report *report)
{
    const an_format format = {(an_dtype)config->dtype, (an_layout)config->layout, config->channels};
    an_print("%s: %llu records of %u px, %.1f kB each; %s\n", an_dataset_path(dataset),
             (unsigned long long)an_dataset_count(dataset), an_dataset_side(dataset), payload_mean(dataset) * 1e-3,
             an_cpu_describe());
    printf("batch %d, crop %d, %s %s, %d channels\n\n", config->batch, config->crop, an_dtype_name(format.dtype),
           an_layout_name(format.layout), format.channels);
    print_line("read", &report->read);
    print_line("decode", &report->decode);
    print_line("sample", &report->sample);
    print_line("memory", &report->memory);
    for (int i = 0; i < report->full_count; i++)
        print_line("full", &report->full[i].result);
    for (int i = 0; i < report->payload_count; i++)
        print_line("payload", &report->payload[i].result);
    print_device(config, &report->device);
    print_scaling(report->full, report->full_count);
    print_scaling(report->payload, report->payload_count);
    print_costs(report);
    print_end(report);
    return fflush(stdout) == 0 ? AN_OK : an_error(AN_EIO, "cannot write to standard output");
}

static json_t *json_result(const bench_result *result)
{
    return json_pack("{s:i, s:f, s:I, s:I, s:f, s:f, s:f}", "threads", result->threads, "seconds", result->seconds,
                     "images", (json_int_t)result->images, "bytes", (json_int_t)result->bytes, "images_per_second",
                     bench_rate(result), "megabytes_per_second", megabytes(result), "cpu_seconds", result->cpu_seconds);
}

static json_t *json_full(const bench_full *full)
{
    const an_loader_stats *s = &full->stats;
    json_t *counters = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "elapsed_ns", (json_int_t)s->elapsed_ns, "consumer_wait_ns",
        (json_int_t)s->consumer_wait_ns, "worker_busy_ns", (json_int_t)s->worker_busy_ns, "worker_wait_read_ns",
        (json_int_t)s->worker_wait_read_ns, "worker_wait_slot_ns", (json_int_t)s->worker_wait_slot_ns, "reader_wait_ns",
        (json_int_t)s->reader_wait_ns, "reader_blocked_ns", (json_int_t)s->reader_blocked_ns);
    json_t *object = json_result(&full->result);
    json_object_set_new(object, "engine", json_string(an_reader_engine_name(full->engine)));
    json_object_set_new(object, "consumer_waited", json_real(full->starved));
    json_object_set_new(object, "counters", counters);
    return object;
}

static json_t *json_payload(const bench_full *full)
{
    json_t *object = json_full(full);
    json_object_set_new(object, "cpu_us_per_image", json_real(bench_cpu_cost(&full->result) * 1e6));
    json_object_set_new(object, "bus_bytes_per_image", json_real(bench_bus(full)));
    json_object_set_new(object, "payload_bytes_per_image", json_real(bench_payload(full)));
    return object;
}

/* A path may be any bytes. */
static json_t *json_path(const char *path)
{
    an_buffer escaped = {0};
    int rc = an_utf8_escape(path, strlen(path), &escaped);
    json_t *text = rc ? NULL : json_string((const char *)escaped.data);
    an_buffer_free(&escaped);
    return text;
}

static json_t *json_device(const bench_config *config, const bench_device *device)
{
    return json_pack("{s:o, s:I, s:o, s:o}", "name", json_path(config->devices), "memory", (json_int_t)device->memory,
                     "decode", json_result(&device->decode), "full", json_payload(&device->full));
}

static void add_change(json_t *object, const char *key, const bench_change *change)
{
    if (change->share > 0)
        json_object_set_new(object, key,
                            json_pack("{s:s, s:f, s:f, s:f, s:f}", "codec", an_codec_name(change->codec), "share",
                                      change->share, "images_per_second", change->rate, "gain", change->gain,
                                      "file_growth", change->growth));
}

static json_t *json_verdict(const bench_verdict *v)
{
    json_t *object = json_pack("{s:s, s:s}", "stage", v->stage, "text", v->text);
    add_change(object, "change", &v->change);
    add_change(object, "further", &v->further);
    return object;
}

int bench_print_json(const bench_config *config, const an_dataset *dataset, const bench_report *report)
{
    json_t *full = json_array(), *payload = json_array();
    json_t *root = json_pack("{s:o, s:I, s:i, s:s, s:i, s:i, s:s, s:s, s:i}", "dataset",
                             json_path(an_dataset_path(dataset)), "records", (json_int_t)an_dataset_count(dataset),
                             "side", (int)an_dataset_side(dataset), "processor", an_cpu_describe(), "batch",
                             config->batch, "crop", config->crop, "dtype", an_dtype_name((an_dtype)config->dtype),
                             "layout", an_layout_name((an_layout)config->layout), "channels", config->channels);
    if (report->read.threads)
        json_object_set_new(root, "read", json_result(&report->read));
    if (report->decode.threads)
        json_object_set_new(root, "decode", json_result(&report->decode));
    if (report->sample.threads)
        json_object_set_new(root, "sample", json_result(&report->sample));
    if (report->memory.threads)
        json_object_set_new(root, "memory", json_result(&report->memory));
    for (int i = 0; i < report->full_count; i++)
        json_array_append_new(full, json_full(&report->full[i]));
    json_object_set_new(root, "full", full);
    for (int i = 0; i < report->payload_count; i++)
        json_array_append_new(payload, json_payload(&report->payload[i]));
    json_object_set_new(root, "payload", payload);
    if (report->device.decode.threads)
        json_object_set_new(root, "device", json_device(config, &report->device));
    if (report->verdict.stage)
        json_object_set_new(root, "verdict", json_verdict(&report->verdict));
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!text)
        return an_error(AN_ENOMEM, "out of memory for the report");
    int written = puts(text);
    free(text);
    return written >= 0 && fflush(stdout) == 0 ? AN_OK : an_error(AN_EIO, "cannot write to standard output");
}
