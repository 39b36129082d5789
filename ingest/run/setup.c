#include "ingest/run/setup_private.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/program/log.h"
#include "base/program/stop.h"
#include "base/thread.h"

int an_setup_options(an_setup *setup, const an_ingest_config *config)
{
    an_pipeline_options *options = &setup->pipeline;
    memset(setup, 0, sizeof(*setup));
    *options = (an_pipeline_options){
        .recorder = {.picture = {.side = (uint32_t)config->size,
                                 .filter = (an_filter)config->filter,
                                 .pixels_max = config->pixels_max,
                                 .pixels_option = "--max-pixels",
                                 .accept_truncated = config->accept_truncated},
                     .codec = {.quality = config->quality, .subsampling = (an_jpeg_subsampling)config->subsampling},
                     .seed = config->seed},
        .threads = config->threads ? config->threads : an_thread_cpu_count(),
    };
    int rc = an_ingest_codec_parse(config->codec, &options->recorder.codec.codec, &options->recorder.raw_share);
    return rc ? rc : an_bad_limit_parse(config->max_bad, &setup->limit);
}

static int name_classes(an_setup *setup, const an_ingest_config *config, const char *source)
{
    uint32_t named = 0;
    an_classes names = {0};
    an_buffer path = {0};
    int rc = config->class_names ? an_buffer_printf(&path, "%s", config->class_names)
                                 : an_buffer_printf(&path, "%s/classes.tsv", source);
    if (!rc && (config->class_names || access((char *)path.data, R_OK) == 0)) {
        rc = an_classes_read(&names, (char *)path.data, &setup->source->classes);
        if (!rc)
            rc = an_classes_name(&setup->source->classes, &names, &named);
        if (!rc && !config->class_names && !config->classes_from)
            rc = an_source_note_class_order(setup->source, &names, (char *)path.data);
        if (!rc && config->class_names && !named)
            rc = an_error(AN_ECORRUPT, "--class-names '%s' has a name for none of the %u classes, such as '%s'",
                          config->class_names, setup->source->classes.count, setup->source->classes.entries[0].id);
    }
    an_classes_free(&names);
    an_buffer_free(&path);
    return rc;
}

int an_setup_source(an_setup *setup, const an_ingest_config *config, const char *path)
{
    an_classes given = {0};
    an_source_options options = {.path = path,
                                 .kind = config->kind,
                                 .labels = config->labels,
                                 .synsets = config->synsets,
                                 .devkit = config->devkit,
                                 .shuffle = config->order == AN_INGEST_ORDER_SHUFFLED,
                                 .seed = config->seed,
                                 .stopped = an_stop_requested};
    int rc = AN_OK;
    if (config->classes_from) {
        options.classes = &given;
        rc = an_classes_from(&given, config->classes_from);
    }
    if (!rc)
        rc = an_source_open(&setup->source, &options);
    if (!rc)
        rc = name_classes(setup, config, path);
    an_classes_free(&given);
    return rc;
}

void an_setup_show_notes(an_setup *setup)
{
    an_buffer *notes = &setup->source->notes;
    char *line = (char *)notes->data;
    for (char *end; notes->size && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        an_log(AN_LOG_WARNING, "%s", line);
    }
    notes->size = 0;
}

void an_setup_free(an_setup *setup)
{
    an_source_free(setup->source);
    setup->source = NULL;
}
