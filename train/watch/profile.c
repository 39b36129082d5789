#include "train/watch/profile.h"

#include <stdlib.h>

#include "base/error.h"

int an_profile_open(an_profile *profile, an_exec *exec)
{
    *profile = (an_profile){.count = an_exec_layer_count(exec)};
    profile->layers = calloc((size_t)profile->count, sizeof(*profile->layers));
    if (!profile->layers)
        return an_error(AN_ENOMEM, "out of memory for --profile");
    for (int i = 0; i < profile->count; i++) {
        an_exec_layer_get(exec, i, &profile->layers[i]);
        profile->layers[i].forward = profile->layers[i].backward = profile->layers[i].update = 0;
    }
    an_exec_profile(exec);
    return AN_OK;
}

void an_profile_close(an_profile *profile)
{
    free(profile->layers);
    *profile = (an_profile){0};
}

void an_profile_take(an_profile *profile, an_exec *exec, uint64_t steps)
{
    for (int i = 0; i < profile->count; i++) {
        an_exec_layer layer;
        an_exec_layer_get(exec, i, &layer);
        profile->layers[i].forward += layer.forward;
        profile->layers[i].backward += layer.backward;
        profile->layers[i].update += layer.update;
    }
    profile->steps += steps;
    an_exec_layers_reset(exec);
}

static double total(const an_exec_layer *layer)
{
    return layer->forward + layer->backward + layer->update;
}

static int print_layer(const an_profile *p, const an_exec_layer *layer, int batch, double all, an_buffer *out)
{
    double ms = 1e3 / (double)p->steps, seconds = layer->forward + layer->backward;
    int rc = an_buffer_printf(out, "%-10s %-8s %6d %10.2f %10.2f %10.2f %7.1f %%", layer->name, layer->kind,
                              layer->device, ms * layer->forward, ms * layer->backward, ms * layer->update,
                              all > 0 ? 100 * total(layer) / all : 0);
    /* The backward pass computes two gradients, each as much work as the forward pass; the first layer needs only one.
     */
    if (!rc && layer->flop > 0 && seconds > 0)
        rc = an_buffer_printf(out, " %8.0f", 3 * layer->flop * batch * (double)p->steps / seconds * 1e-9);
    return rc ? rc : an_buffer_printf(out, "\n");
}

int an_profile_print(const an_profile *p, int batch, an_buffer *out)
{
    double all = 0;
    if (p->steps == 0)
        return AN_OK;
    for (int i = 0; i < p->count; i++)
        all += total(&p->layers[i]);
    int rc = an_buffer_printf(out, "%-10s %-8s %6s %10s %10s %10s %9s %8s\n", "layer", "kind", "device", "forward ms",
                              "backward", "update", "share", "GFLOP/s");
    for (int i = 0; !rc && i < p->count; i++)
        rc = print_layer(p, &p->layers[i], batch, all, out);
    if (!rc)
        rc = an_buffer_printf(out, "%-10s %8s %6s %10.2f ms a step\n", "sum", "", "", 1e3 * all / (double)p->steps);
    return rc;
}
