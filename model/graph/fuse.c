/* Merges the halves of split layers, for a single device. Layers keep their names, ordinals and canonical weights, so
 * that initialisation, dropout and checkpoints do not depend on the placement. */
#include <string.h>

#include "base/error.h"
#include "model/graph/graph.h"

static int other_half(const an_graph *graph, int number)
{
    for (int i = number + 1; i < graph->count; i++)
        if (!strcmp(graph->nodes[i].name, graph->nodes[number].name))
            return i;
    return -1;
}

static bool same_inputs(const an_node *a, const an_node *b)
{
    if (a->input_count != b->input_count)
        return false;
    for (int i = 0; i < a->input_count; i++)
        if (a->inputs[i] != b->inputs[i])
            return false;
    return true;
}

/* Replaces inputs by the merged nodes; two inputs that are halves of one layer become one. */
static void inputs_map(an_node *node, const int *map)
{
    int count = 0;
    for (int i = 0; i < node->input_count; i++) {
        int input = map[node->inputs[i]];
        if (!count || node->inputs[count - 1] != input)
            node->inputs[count++] = input;
    }
    node->input_count = count;
}

static int halves_merge(const an_graph *graph, int first, int second, const int *map, an_node *merged)
{
    const an_node *a = &graph->nodes[first], *b = &graph->nodes[second];
    bool apart = !same_inputs(a, b);
    const an_kind *kind = an_kind_find(a->kind);
    *merged = *a;
    merged->channels = a->channels + b->channels;
    inputs_map(merged, map);
    int rc = kind && kind->merge ? kind->merge(a, apart, merged) : AN_OK;
    if (rc)
        return rc;
    if (apart) {
        an_node other = *b;
        inputs_map(&other, map);
        if (!same_inputs(merged, &other) || a->channels != b->channels)
            return an_error(AN_EINVAL, "%s: halves with unlike inputs cannot be merged", a->name);
    }
    return AN_OK;
}

int an_graph_fuse(const an_graph *graph, an_graph *out)
{
    int map[AN_GRAPH_NODES_MAX];
    memset(out, 0, sizeof *out);
    for (int i = 0; i < graph->count; i++)
        map[i] = -1;
    for (int i = 0; i < graph->count; i++) {
        if (map[i] >= 0)
            continue;
        int half = other_half(graph, i);
        an_node node = graph->nodes[i];
        if (half < 0)
            inputs_map(&node, map);
        else {
            int rc = halves_merge(graph, i, half, map, &node);
            if (rc)
                return rc;
        }
        node.device = 0;
        int added = an_graph_add(out, &node);
        if (added < 0)
            return added;
        map[i] = added;
        if (half >= 0)
            map[half] = added;
    }
    return AN_OK;
}
