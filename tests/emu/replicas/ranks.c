#include "tests/emu/replicas/ranks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/init.h"
#include "tests/model/small_net.h"
#include "tests/model/support.h"

static const uint32_t labels[RANKS_BATCH] = {4, 0, 2, 1, 3, 3, 0, 4};
static const float grey[3] = {128, 128, 128};
static const an_conversion conversion = {.mean = grey, .side = 1, .scale = 1 / 128.0};

const an_nccl *ranks_nccl(void)
{
    const an_nccl *nccl;
    an_test_ok(an_nccl_load(&nccl), "the emulated NCCL");
    return nccl;
}

/* Threads of one process have the same graph. */
static int compare(void *context, const an_nccl_shape *own)
{
    (void)context;
    assert_true(own->buckets > 0 && own->bytes > 0);
    return 0;
}

void ranks_sums(const ranks_form *form, an_nccl_sum **out)
{
    const an_nccl *nccl = ranks_nccl();
    an_nccl_members members = {.world = form->world,
                               .devices = strchr(form->devices[0], ',') ? 2 : 1,
                               .bucket_bytes = form->bucket_bytes,
                               .compare = compare};
    for (int i = 0; i < members.devices; i++)
        assert_int_equal(nccl->GetUniqueId(&members.ids[i]), AN_NCCL_SUCCESS);
    for (members.rank = 0; members.rank < form->world; members.rank++)
        an_test_ok(an_nccl_sum_make(&out[members.rank], nccl, &members), "a sum");
}

static int share_of(const rank_state *r)
{
    return r->sum ? RANKS_BATCH / r->form->world : RANKS_BATCH;
}

/* The images of the step that are this rank's, in the format that the exec takes. */
static void images_fill(rank_state *r, uint64_t step)
{
    size_t plane = (size_t)SMALL_SIDE * SMALL_SIDE, first = (size_t)(r->rank * share_of(r));
    bool bytes = an_exec_input_format(r->exec).dtype == AN_DTYPE_U8;
    for (size_t n = 0; n < (size_t)share_of(r); n++) {
        an_rng rng = an_rng_make(1, AN_RNG_TEST, step, first + n);
        for (size_t p = 0; p < plane; p++)
            for (size_t c = 0; c < 3; c++) {
                uint8_t byte = (uint8_t)an_rng_below(&rng, 256);
                if (bytes)
                    ((uint8_t *)r->pixels)[(n * plane + p) * 3 + c] = byte;
                else
                    ((float *)r->pixels)[(n * 3 + c) * plane + p] = ((float)byte - 128) / 128;
            }
    }
}

void rank_make(rank_state *r, const ranks_form *form, int rank, an_nccl_sum *sum)
{
    an_graph graph;
    *r = (rank_state){.form = form, .rank = rank, .sum = sum};
    an_exec_options options = {.devices = form->devices[rank],
                               .batch = share_of(r),
                               .threads = 1,
                               .training = true,
                               .seed = 11,
                               .precision = form->precision,
                               .parts = form->parts,
                               .conversion = &conversion,
                               .direct = true,
                               .reducer = sum ? an_nccl_sum_reducer(sum) : NULL};
    void *draws;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    an_test_ok(an_exec_create(&r->exec, &graph, &options), options.devices);
    an_test_ok(an_init_parameters(r->exec, AN_INIT_HE, 5), "init");
    r->size = (size_t)share_of(r) * SMALL_IMAGE * sizeof(float);
    an_test_ok(an_exec_images_alloc(r->exec, &r->pixels, r->size), "images");
    an_test_ok(an_exec_images_alloc(r->exec, &draws, RANKS_BATCH * sizeof *r->draws), "draws");
    r->draws = draws;
    for (int i = 0; i < RANKS_BATCH; i++)
        r->draws[i] = AN_IMAGE_DRAW();
    an_exec_replay_set(r->exec, !form->walks);
    an_exec_share(r->exec, (uint32_t)(rank * share_of(r)), RANKS_BATCH);
}

void rank_free(rank_state *r)
{
    an_exec_images_free(r->exec, r->pixels, r->size);
    an_exec_images_free(r->exec, r->draws, RANKS_BATCH * sizeof *r->draws);
    an_exec_free(r->exec);
    an_nccl_sum_free(r->sum);
}

void rank_step(rank_state *r, uint64_t step)
{
    an_exec_result result;
    an_images images = {.pixels = r->pixels, .draws = r->draws};
    images_fill(r, step);
    an_test_ok(an_exec_step(r->exec, &images, labels + r->rank * share_of(r), (uint32_t)share_of(r), step, &result),
               "step");
    r->loss = result.loss;
}

void rank_update(rank_state *r)
{
    an_sgd sgd = {.rate = 0.001, .momentum = 0.9, .decay = 0.0005, .bias_rate_scale = 2, .clip = r->form->clip};
    an_test_ok(an_exec_update(r->exec, &sgd), "update");
}

uint64_t rank_checksum(rank_state *r)
{
    uint64_t checksum;
    an_test_ok(an_exec_checksum(r->exec, &checksum), "checksum");
    return checksum;
}
