#include "train/setup/layer_rates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define UNSET (-1.0)

/* Any node of the layer: both halves of one have its ordinal. NULL: the network has no layer of that name that
 * learns. */
static const an_node *layer_find(const an_graph *graph, const char *name)
{
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i].has_weights && strcmp(graph->nodes[i].name, name) == 0)
            return &graph->nodes[i];
    return NULL;
}

static int unknown(const an_graph *graph, const char *option, const char *name)
{
    an_buffer text = {0};
    int rc = an_buffer_printf(&text, "--%s: no layer '%s' that learns: there are", option, name);
    const char *before = "";
    for (int i = 0; i < graph->count && !rc; i++) {
        const an_node *node = &graph->nodes[i];
        if (!node->has_weights || strcmp(node->name, before) == 0)
            continue;
        rc = an_buffer_printf(&text, "%s %s", *before ? "," : "", node->name);
        before = node->name;
    }
    if (!rc)
        rc = an_error(AN_EINVAL, "%.*s", (int)text.size, (const char *)text.data);
    an_buffer_free(&text);
    return rc;
}

static int freeze(an_layer_rates *rates, const an_graph *graph, char *name)
{
    const an_node *node = layer_find(graph, name);
    if (!node)
        return unknown(graph, "freeze", name);
    if (rates->scales[node->layer] > 0)
        return an_error(AN_EINVAL, "--freeze and --layer-rates contradict each other about '%s': name it in one", name);
    rates->scales[node->layer] = 0;
    return AN_OK;
}

/* item: "conv1=0.1"; the equals sign is replaced by a zero. */
static int rate_set(an_layer_rates *rates, const an_graph *graph, char *item)
{
    char *equals = strchr(item, '='), *end = NULL;
    double factor = equals ? strtod(equals + 1, &end) : 0;
    if (!equals || end == equals + 1 || *end || !isfinite(factor) || factor < 0)
        return an_error(AN_EINVAL,
                        "--layer-rates: '%s' is not LAYER=FACTOR, such as conv1=0.1, with a factor of 0 or more", item);
    *equals = '\0';
    const an_node *node = layer_find(graph, item);
    if (!node)
        return unknown(graph, "layer-rates", item);
    if (rates->scales[node->layer] >= 0)
        return an_error(AN_EINVAL, "--layer-rates names '%s' twice: give it one factor", item);
    rates->scales[node->layer] = factor;
    return AN_OK;
}

/* Calls set for each item of a list; "none" and "" are empty lists. */
static int each(an_layer_rates *rates, const an_graph *graph, const char *list,
                int (*set)(an_layer_rates *, const an_graph *, char *))
{
    if (!list || strcmp(list, "none") == 0 || !*list)
        return AN_OK;
    char *copy = strdup(list), *rest = copy, *item;
    if (!copy)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = AN_OK;
    while (!rc && (item = strsep(&rest, ",")))
        rc = set(rates, graph, item);
    free(copy);
    return rc;
}

int an_layer_rates_make(an_layer_rates *out, const an_train_config *config, const an_graph *graph)
{
    for (int i = 0; i < AN_GRAPH_NODES_MAX; i++)
        out->scales[i] = UNSET;
    int rc = each(out, graph, config->layer_rates, rate_set);
    if (!rc)
        rc = each(out, graph, config->freeze, freeze);
    for (int i = 0; i < AN_GRAPH_NODES_MAX; i++)
        out->scales[i] = out->scales[i] >= 0 ? out->scales[i] : 1;
    if (rc || an_layer_rates_learning(out, graph))
        return rc;
    return an_error(AN_EINVAL, "--freeze and --layer-rates leave no layer that learns: name fewer layers");
}

uint64_t an_layer_rates_learning(const an_layer_rates *rates, const an_graph *graph)
{
    uint64_t sum = 0;
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i].has_weights && rates->scales[graph->nodes[i].layer] > 0)
            sum += an_graph_node_parameters(graph, &graph->nodes[i]);
    return sum;
}
