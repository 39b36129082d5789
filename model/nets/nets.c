#include "model/nets/nets.h"

#include <string.h>

#include "base/error.h"

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
