#include "base/error.h"
#include "base/thread.h"
#include "train/setup/data.h"

/* GPUs leave all processors to the loader but one: the training thread's, which queues their work and waits for their
 * results. */
int an_train_loader_threads_most(int processors, bool network_on_processors)
{
    return network_on_processors || processors < 2 ? processors : processors - 1;
}

int an_train_loader_threads_rule(int processors, bool network_on_processors, int wanted)
{
    if (wanted)
        return wanted;
    return network_on_processors ? (processors + 3) / 4 : an_train_loader_threads_most(processors, false);
}

int an_train_loader_threads(const an_exec *exec, int wanted)
{
    return an_train_loader_threads_rule(an_thread_cpu_count(), an_exec_on_processors(exec), wanted);
}

int an_train_compute_threads(int wanted)
{
    return wanted ? wanted : an_thread_cpu_count();
}

/* SLOTS: batches in memory. The network holds those of this step and of the next one, and workers fill the other two.
 */
enum { READ_DEPTH = 64, SLOTS = 4 };

static int alloc_images(void *context, void **out, size_t size)
{
    return an_exec_images_alloc(context, out, size);
}

static void free_images(void *context, void *memory, size_t size)
{
    an_exec_images_free(context, memory, size);
}

static void use_memory_of(an_exec *exec, an_loader_options *options)
{
    options->memory_alloc = alloc_images;
    options->memory_free = free_images;
    options->memory_context = exec;
}

/* A block of undecoded records begins with the draws. */
an_images an_train_images(const an_batch *batch)
{
    if ((const void *)batch->draws == batch->data)
        return (an_images){.block = batch->data, .block_size = batch->size};
    return (an_images){.pixels = batch->data, .draws = batch->draws};
}

int an_train_name_damaged(const an_exec *exec, const an_dataset *dataset, const an_batch *batch, int rc)
{
    int64_t sample = an_exec_damaged(exec);
    return sample < 0 ? rc : an_loader_name_error(dataset, rc, batch->indices[sample]);
}

void an_train_sample_format(an_sample_options *sample, an_format format)
{
    sample->format = format;
    if (format.dtype == AN_DTYPE_U8) {
        sample->mean = AN_MEAN_NONE;
        sample->scale = 1;
    }
}

static bool one_colour(const an_train_input *input)
{
    size_t values = (size_t)input->side * input->side * 3;
    for (size_t i = 3; i < values; i++)
        if (input->mean_image[i] != input->mean_image[i - 3])
            return false;
    return true;
}

an_conversion an_train_conversion(const an_train_input *input)
{
    return (an_conversion){
        .mean = input->mean_image, .side = one_colour(input) ? 1 : (int)input->side, .scale = input->scale};
}

int an_train_share_of(const an_train_share *share, uint64_t images)
{
    uint64_t before = (uint64_t)share->rank * (uint64_t)share->batch;
    if (images <= before)
        return 0;
    return images - before < (uint64_t)share->batch ? (int)(images - before) : share->batch;
}

/* All but what an exec decides. */
static an_loader_options data_options(const an_train_data *data, const an_train_config *config,
                                      const an_train_share *share)
{
    return (an_loader_options){
        .dataset = data->training,
        .sample = {.crop = (uint32_t)config->crop,
                   .random_crop = !config->no_random_crop,
                   .area_min = config->resized,
                   .flip = !config->no_flip,
                   .jitter = config->jitter,
                   .jitter_scaled = config->jitter_scaled,
                   .jitter_epochs = config->jitter_epochs,
                   .mixup = config->mixup,
                   .cutmix = config->cutmix,
                   .mean = (an_mean_kind)config->mean,
                   .scale = data->input.scale},
        .engine = (an_reader_engine)config->engine,
        .depth = READ_DEPTH,
        .slots = SLOTS,
        .batch = (uint32_t)share->batch,
        .seed = config->seed,
        .order = (an_order_kind)config->order,
        .block = (uint64_t)config->order_block,
        .rank = (uint32_t)share->rank,
        .world = (uint32_t)share->world,
        .last = an_train_config_last(config),
        .verify = true,
        .subset = data->subset,
        .subset_count = data->subset_count,
    };
}

int an_train_data_loader(const an_train_data *data, const an_train_config *config, an_exec *exec,
                         const an_train_load *load, an_loader **out)
{
    an_loader_options options = data_options(data, config, &load->share);
    options.threads = load->threads;
    options.decode = load->decode;
    options.first_epoch = load->epoch;
    options.first_step = load->step;
    an_train_sample_format(&options.sample, an_exec_input_format(exec));
    use_memory_of(exec, &options);
    return an_loader_create(out, &options);
}

int an_train_data_block(const an_train_data *data, const an_train_config *config, const an_train_share *share,
                        size_t *out)
{
    an_loader_options options = data_options(data, config, share);
    int rc = an_loader_block_size(&options, out);
    for (int i = 0; i < data->set_count && !rc; i++) {
        size_t block = 0;
        an_train_view_options view = {.dataset = data->sets[i].dataset, .crop = config->crop, .batch = share->batch};
        rc = an_train_view_block(&view, &block);
        *out = block > *out ? block : *out;
    }
    return rc;
}

int an_train_input_sample(const an_train_input *input, int crop, uint32_t side, an_format format,
                          an_sample_options *sample, an_statistics *statistics)
{
    if ((uint32_t)crop > side)
        return an_error(AN_EINVAL, "images of %u px, but the network wants %d: ingest them with --size %d or more",
                        side, crop, crop);
    if (side != input->side && !one_colour(input))
        return an_error(AN_EINVAL,
                        "images of %u px, but a mean image of %u px is subtracted: ingest them with --size %u", side,
                        input->side, input->side);
    /* Only the mean is used; samplers copy it. */
    *statistics = (an_statistics){.side = input->side, .images = 1, .mean_image = input->mean_image};
    for (int c = 0; c < 3; c++)
        statistics->mean[c] = (double)input->mean_image[c];
    *sample = (an_sample_options){
        .crop = (uint32_t)crop, .mean = side == input->side ? AN_MEAN_PIXEL : AN_MEAN_CHANNEL, .scale = input->scale};
    an_train_sample_format(sample, format);
    return AN_OK;
}

int an_train_view_sample(const an_train_view_options *o, an_format format, an_sample_options *sample,
                         an_statistics *statistics)
{
    int rc = an_train_input_sample(o->input, o->crop, an_dataset_side(o->dataset), format, sample, statistics);
    return rc ? an_error_prefix(rc, "'%s'", an_dataset_path(o->dataset)) : AN_OK;
}

/* All but the sample's format. */
static an_loader_options view_options(const an_train_view_options *o)
{
    return (an_loader_options){
        .dataset = o->dataset,
        .sample.crop = (uint32_t)o->crop,
        .decode = o->decode,
        .engine = (an_reader_engine)o->engine,
        .depth = READ_DEPTH,
        .threads = o->threads,
        .slots = SLOTS,
        .batch = (uint32_t)o->batch,
        .order = AN_ORDER_SEQUENTIAL,
        .block = 1,
        .verify = true,
        .rank = (uint32_t)o->rank,
        .world = o->world ? (uint32_t)o->world : 1,
        .last = AN_LAST_SHORT,
        .epochs = o->repeat ? 0 : 1,
        .subset = o->subset,
        .subset_count = o->subset_count,
    };
}

int an_train_view_loader(const an_train_view_options *o, an_exec *exec, an_loader **out)
{
    an_statistics statistics;
    an_loader_options options = view_options(o);
    options.statistics = &statistics;
    int rc = an_train_view_sample(o, an_exec_input_format(exec), &options.sample, &statistics);
    if (rc)
        return rc;
    use_memory_of(exec, &options);
    return an_loader_create(out, &options);
}

uint32_t an_train_view_top(const an_train_view_options *o)
{
    return o->top ? o->top : AN_EXEC_TOP;
}

int an_train_view_block(const an_train_view_options *o, size_t *out)
{
    an_loader_options options = view_options(o);
    return an_loader_block_size(&options, out);
}
