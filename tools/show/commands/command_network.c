#include <string.h>

#include "base/error.h"
#include "base/program/options.h"
#include "model/nets/nets.h"
#include "tools/show/commands/commands.h"
#include "tools/show/commands/recipe_options.h"
#include "tools/show/content/viewer.h"
#include "tools/show/views/network_draw.h"
#include "train/setup/network.h"
#include "train/setup/trained.h"

typedef struct {
    an_train_config config;   /* first: options of the recipe keep their offsets */
    an_viewer_options source; /* only run, weights and recipe */
    int classes;
} network_options;

static const an_option own[] = {
    {.heading = "Network of a run or of one's own choice:"},
    AN_VIEWER_WEIGHTS(network_options, source),
    {.name = "classes",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .min = 2,
     .max = 1 << 20,
     .offset = offsetof(network_options, classes),
     .help = "classes that it tells apart; as many as the network was published with, if not given"},
};
#define OWN (sizeof(own) / sizeof(own[0]))

#define SHAPING_MAX 64 /* options of an-train that decide the graph */

static an_option table[OWN + SHAPING_MAX + 1];

static const an_options spec = {
    .program = "an-show network",
    .usage = "PICTURE",
    .summary =
        "Draw a network as the paper's Figure 2 does: each layer with its shape, the device that it lives on, where "
        "the devices talk, and what it costs. Without --run or --weights it is the network that an-train would make "
        "of the same options, the paper's by default.",
    .epilogue = "Examples:\n"
                "  $ an-show network alexnet.svg\n"
                "  $ an-show network --columns one --crop 227 one-column.pdf\n"
                "  $ an-show network --network cifar --activation tanh figure1.svg\n"
                "  $ an-show network --run runs/first network.png",
    .options = table,
    .arguments_min = 1,
    .arguments_max = 1,
};

static bool listed(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Crop, network, and the options that any network reads. */
static int make_table(void)
{
    const char *names[SHAPING_MAX] = {"crop", "network"};
    size_t count = 2;
    for (int i = 0; i < an_net_count(); i++)
        for (const char *const *name = an_net_at(i)->rules->reads; *name; name++) {
            if (listed(names, count, *name))
                continue;
            if (count == SHAPING_MAX)
                return an_error(AN_EINTERNAL, "networks read more than %d options", SHAPING_MAX);
            names[count++] = *name;
        }
    for (const an_option *o = an_train_recipe_spec()->options; o->heading || o->name; o++)
        if (o->old_flag && count < SHAPING_MAX)
            names[count++] = o->name;
    an_recipe_options(table, own, OWN, names, count);
    table[OWN].initial = NULL;
    table[OWN].help = "side of the network's input; that which it was published with, if not given";
    return AN_OK;
}

/* What was not given, as the network was published. */
static void complete(network_options *o)
{
    const an_net_options *usual = &an_net_at(o->config.network)->rules->defaults;
    o->config.crop = o->config.crop ? o->config.crop : usual->crop;
    o->classes = o->classes ? o->classes : usual->classes;
}

static int graph_of_options(network_options *o, an_graph *graph)
{
    complete(o);
    return an_network_build(&o->config, o->classes, graph);
}

static int graph_of_run(const network_options *o, an_graph *graph)
{
    an_trained trained;
    const an_trained_source source = an_viewer_source(&o->source, NULL);
    int rc = an_trained_open_source(&trained, &source);
    if (!rc)
        rc = an_trained_graph(&trained, graph);
    an_trained_close(&trained);
    return rc;
}

int an_show_network(int argc, char **argv)
{
    network_options o;
    char **arguments;
    an_canvas_kind kind;
    an_graph graph;
    an_canvas *canvas = NULL;
    int rc = make_table();
    if (!rc)
        rc = an_options_init(an_train_recipe_spec(), &o.config);
    if (!rc)
        rc = an_options_init(&spec, &o);
    o.config.crop = o.classes = 0;
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &arguments);
    if (!rc)
        rc = an_canvas_kind_of(arguments[0], &kind);
    if (!rc)
        rc = o.source.run || o.source.weights || o.source.recipe ? graph_of_run(&o, &graph)
                                                                 : graph_of_options(&o, &graph);
    if (!rc)
        rc = an_network_draw(&canvas, kind, &graph, "What the network is made of");
    if (!rc)
        rc = an_canvas_save(canvas, arguments[0]);
    an_canvas_free(canvas);
    return rc;
}
