#include "model/nets/nets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text/name_list.h"

#define ROW(symbol, title, help) {#symbol, title, help, &an_net_##symbol},
static const an_net nets[] = {AN_NETS(ROW)};

#define QUOTED(symbol, title, help) " '" #symbol "'"
static const char names[] = AN_NETS(QUOTED);

int an_net_count(void)
{
    return (int)(sizeof nets / sizeof *nets);
}

const an_net *an_net_at(int number)
{
    return &nets[number];
}

int an_net_find(const char *name)
{
    for (int i = 0; i < an_net_count(); i++)
        if (!strcmp(nets[i].name, name))
            return i;
    return an_error(AN_EINVAL, "no network '%s': there are%s", name, names);
}

bool an_net_reads(const an_net *net, const char *option)
{
    for (const char *const *read = net->rules->reads; *read; read++)
        if (!strcmp(*read, option))
            return true;
    return false;
}

static bool is_name(const char *text, size_t length, const char *name)
{
    return strlen(name) == length && !memcmp(text, name, length);
}

/* Sets the deviation of both halves of a layer; false: there is no such layer. */
static bool deviation_set(an_graph *graph, const char *name, size_t length, double deviation)
{
    bool found = false;
    for (int i = 0; i < graph->count; i++) {
        an_node *node = &graph->nodes[i];
        if (!node->has_weights || !is_name(name, length, node->name))
            continue;
        node->init_deviation = deviation;
        found = true;
    }
    return found;
}

static int deviations_refuse(const an_graph *graph, const char *text)
{
    an_buffer known = {0};
    int rc = AN_OK;
    for (int i = 0; i < graph->count && !rc; i++)
        if (graph->nodes[i].has_weights && graph->nodes[i].device == 0)
            rc = an_buffer_printf(&known, "%s%s", known.size ? ", " : "", graph->nodes[i].name);
    if (!rc)
        rc = an_error(AN_EINVAL,
                      "--init-deviations '%s': give LAYER=X,LAYER=X..., with layers out of %s and X of 0 or "
                      "more, or none",
                      text, (const char *)known.data);
    an_buffer_free(&known);
    return rc;
}

int an_net_deviate(an_graph *graph, const an_net_options *options)
{
    const char *text = options->init_deviations, *at = text;
    if (!strcmp(text, "none"))
        return AN_OK;
    for (;; at++) {
        char *end;
        size_t length = strcspn(at, "=,");
        double deviation = strtod(at + length + (at[length] == '='), &end);
        bool number = at[length] == '=' && end != at + length + 1 && deviation >= 0 && isfinite(deviation);
        if (!number || (*end && *end != ','))
            return deviations_refuse(graph, text);
        if (!deviation_set(graph, at, length, deviation) && !an_names_hold(options->without, at, length))
            return deviations_refuse(graph, text);
        at = end;
        if (!*at)
            return AN_OK;
    }
}
