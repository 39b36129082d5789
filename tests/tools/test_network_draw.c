/* The drawing of a network walks the table of layer kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "model/nets/nets.h"
#include "tools/show/views/network_draw.h"

static void test_every_network_is_drawn(void **state)
{
    (void)state;
    for (int i = 0; i < an_net_count(); i++) {
        const an_net_rules *rules = an_net_at(i)->rules;
        an_graph graph;
        an_canvas *canvas = NULL;
        assert_int_equal(rules->build(&rules->defaults, &graph), AN_OK);
        assert_int_equal(an_network_draw(&canvas, AN_CANVAS_SVG, &graph, an_net_at(i)->title), AN_OK);
        an_canvas_free(canvas);
    }
}

/* It was drawn as a softmax. */
static void test_a_kind_without_a_row_is_refused(void **state)
{
    (void)state;
    const an_net_rules *rules = an_net_at(0)->rules;
    an_graph graph;
    an_canvas *canvas = NULL;
    assert_int_equal(rules->build(&rules->defaults, &graph), AN_OK);
    graph.nodes[graph.count - 1].kind = AN_OP_KINDS;
    assert_int_equal(an_network_draw(&canvas, AN_CANVAS_SVG, &graph, "odd"), AN_EINVAL);
    assert_null(canvas);
    assert_non_null(strstr(an_error_message(), "loss: cannot draw layer kind"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_network_is_drawn),
        cmocka_unit_test(test_a_kind_without_a_row_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
