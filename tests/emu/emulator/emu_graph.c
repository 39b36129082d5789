/* Stream capture and graphs.
 *
 * DESIGN. Each captured stream has tips: the nodes that its next node depends on. What is queued on it becomes a node,
 * which is then its only tip. Recording an event copies the stream's tips into it, and a stream that waits for the
 * event adds them to its own. In this way streams join a capture, and a graph has no other order.
 *
 * A launch gives every node a vector clock, made of what the launching stream knows, what the nodes that it depends on
 * know, and a component for the stream in which it was captured. Accesses are checked against this clock like those of
 * streams. Then one job runs all nodes, each after those that it depends on, otherwise in random order. Nodes that may
 * wait for other processes get threads of their own: two processes that wait for each other in different orders would
 * not come to an end, where devices, which run what is ready at the same time, do.
 *
 * A wait that a planted mistake removes still makes an edge, which orders the work so that the tests are free of races.
 * But the clocks ignore the edge, and so does the check that all streams have joined. A stream that only such a wait
 * would have brought into the capture stays outside.
 *
 * Breaking the rules of capture returns the runtime's errors, as on hardware. What a real runtime would not notice is a
 * violation. Everything but the running of nodes happens under the emulator's lock. */
#include <stdlib.h>
#include <string.h>

#include "tests/emu/emulator/emu_private.h"

#define CHAINS 16
#define NODES_STEP 64

typedef struct {
    emu_task task;
    int chain, device;
    emu_tips before;
} node;

struct CUgraph_st {
    int references;
    node *nodes;
    int count, room;
    int chains;
};

struct emu_capture {
    emu_capture *next;
    uint64_t number;
    enum cudaStreamCaptureMode mode;
    pthread_t owner;
    cudaStream_t origin;
    cudaGraph_t graph;
    bool broken;
};

struct CUgraphExec_st {
    cudaGraph_t graph;
    int components[CHAINS];
    uint64_t last[CHAINS]; /* clock of the last launch */
};

static emu_capture *captures; /* under way */
static uint64_t numbers;
static int refuse_captured;
static emu_graph_call refused;

void emu_refuse_captured(int number)
{
    refuse_captured = number;
}

void emu_refuse_graph(emu_graph_call call)
{
    refused = call;
}

static void graph_release(cudaGraph_t graph)
{
    if (--graph->references)
        return;
    for (int i = 0; i < graph->count; i++)
        free(graph->nodes[i].task.data);
    free(graph->nodes);
    free(graph);
}

/* Capture. */
static emu_capture *capture_find(uint64_t number)
{
    emu_capture *c = captures;
    while (c && c->number != number)
        c = c->next;
    return c;
}

static void tips_add(emu_tips *to, int number, bool counts)
{
    for (int i = 0; i < to->count; i++)
        if (to->node[i] == number) {
            to->counts[i] = to->counts[i] || counts;
            return;
        }
    if (to->count == EMU_TIPS)
        abort();
    to->node[to->count] = number;
    to->counts[to->count++] = counts;
}

static void stream_join(cudaStream_t stream, emu_capture *c)
{
    if (c->graph->chains == CHAINS)
        abort();
    stream->capture = c;
    stream->chain = c->graph->chains++;
    stream->tips.count = 0;
}

cudaError_t emu_capture_break(emu_capture *capture)
{
    capture->broken = true;
    return cudaErrorStreamCaptureUnsupported;
}

cudaError_t emu_capture_unsafe(void)
{
    cudaError_t status = cudaSuccess;
    for (emu_capture *c = captures; c; c = c->next)
        if (c->mode == cudaStreamCaptureModeGlobal ||
            (c->mode == cudaStreamCaptureModeThreadLocal && pthread_equal(c->owner, pthread_self())))
            status = emu_capture_break(c);
    return status;
}

static node *node_add(cudaGraph_t graph)
{
    if (graph->count == graph->room) {
        graph->room += NODES_STEP;
        graph->nodes = realloc(graph->nodes, (size_t)graph->room * sizeof *graph->nodes);
        if (!graph->nodes)
            abort();
    }
    return &graph->nodes[graph->count++];
}

cudaError_t emu_capture_add(cudaStream_t stream, const emu_task *task)
{
    emu_capture *c = stream->capture;
    if (c->broken)
        return cudaErrorStreamCaptureInvalidated;
    if (refuse_captured && !--refuse_captured)
        return cudaErrorStreamCaptureUnsupported;
    if (task->pageable || task->unfit)
        return emu_capture_break(c);
    node *n = node_add(c->graph);
    *n = (node){.task = *task, .chain = stream->chain, .device = stream->device, .before = stream->tips};
    n->task.bytes.operations = 1;
    stream->tips.count = 0;
    tips_add(&stream->tips, c->graph->count - 1, true);
    return cudaSuccess;
}

cudaError_t emu_capture_record(cudaStream_t stream, cudaEvent_t event)
{
    if (stream->capture->broken)
        return cudaErrorStreamCaptureInvalidated;
    event->captured = stream->capture->number;
    event->tips = stream->tips;
    return cudaSuccess;
}

/* From inside for something outside. */
static cudaError_t isolated(emu_capture *c)
{
    c->broken = true;
    return cudaErrorStreamCaptureIsolation;
}

cudaError_t emu_capture_wait(cudaStream_t stream, cudaEvent_t event, bool dropped)
{
    emu_capture *c = stream->capture, *other = capture_find(event->captured);
    if (c && c->broken)
        return cudaErrorStreamCaptureInvalidated;
    if (dropped && (!c || c != other))
        return cudaSuccess;
    if (!event->captured)
        return isolated(c);
    if (!other)
        return c ? isolated(c) : cudaErrorCapturedEvent;
    if (c && c != other) {
        c->broken = other->broken = true;
        return cudaErrorStreamCaptureMerge;
    }
    if (!c)
        stream_join(stream, other);
    for (int i = 0; i < event->tips.count; i++)
        tips_add(&stream->tips, event->tips.node[i], event->tips.counts[i] && !dropped);
    return cudaSuccess;
}

static cudaError_t capture_start(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    const char *allowed = getenv("AN_EMU_CAPTURE");
    if (allowed && !strcmp(allowed, "0"))
        return cudaErrorNotSupported;
    if (!stream) /* the legacy stream */
        return cudaErrorStreamCaptureUnsupported;
    if (!emu_stream_check(stream, "cudaStreamBeginCapture"))
        return cudaErrorInvalidResourceHandle;
    if (stream->capture)
        return cudaErrorIllegalState;
    emu_capture *c = emu_new(sizeof *c);
    *c = (emu_capture){.next = captures, .number = ++numbers, .mode = mode, .owner = pthread_self(), .origin = stream};
    c->graph = emu_new(sizeof *c->graph);
    c->graph->references = 1;
    captures = c;
    stream_join(stream, c);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    pthread_mutex_lock(&emu_lock);
    cudaError_t status = capture_start(stream, mode);
    pthread_mutex_unlock(&emu_lock);
    return emu_failed(status);
}

/* Every node comes before the stream's tips, by edges that count. */
static bool all_joined(const struct CUgraph_st *graph, const emu_tips *tips)
{
    bool *joined = emu_new((size_t)graph->count), all = true;
    for (int i = 0; i < tips->count; i++)
        joined[tips->node[i]] = tips->counts[i];
    for (int i = graph->count - 1; i >= 0; i--) {
        const emu_tips *before = &graph->nodes[i].before;
        for (int k = 0; k < before->count && joined[i]; k++)
            joined[before->node[k]] = joined[before->node[k]] || before->counts[k];
        all = all && joined[i];
    }
    free(joined);
    return all;
}

static void capture_remove(emu_capture *c)
{
    for (int i = 0; i < EMU_CLOCKS; i++)
        if (emu_stream(i) && emu_stream(i)->capture == c)
            emu_stream(i)->capture = NULL;
    emu_capture **place = &captures;
    while (*place != c)
        place = &(*place)->next;
    *place = c->next;
    free(c);
}

static cudaError_t capture_finish(cudaStream_t stream, cudaGraph_t *out)
{
    emu_capture *c = stream->capture;
    if (!c)
        return cudaErrorIllegalState;
    if (c->origin != stream)
        return cudaErrorStreamCaptureUnmatched;
    if (c->mode != cudaStreamCaptureModeRelaxed && !pthread_equal(c->owner, pthread_self()))
        return cudaErrorStreamCaptureWrongThread;
    cudaError_t status = c->broken                             ? cudaErrorStreamCaptureInvalidated
                         : all_joined(c->graph, &stream->tips) ? cudaSuccess
                                                               : cudaErrorStreamCaptureUnjoined;
    if (status == cudaSuccess)
        *out = c->graph;
    else
        graph_release(c->graph);
    capture_remove(c);
    return status;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out)
{
    *out = NULL;
    pthread_mutex_lock(&emu_lock);
    cudaError_t status = capture_finish(stream, out);
    pthread_mutex_unlock(&emu_lock);
    return emu_failed(status);
}

/* Graphs. */
cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    pthread_mutex_lock(&emu_lock);
    graph_release(graph);
    pthread_mutex_unlock(&emu_lock);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags)
{
    if (refused == EMU_INSTANTIATE || flags)
        return emu_failed(cudaErrorNotSupported);
    struct CUgraphExec_st *exec = emu_new(sizeof *exec);
    pthread_mutex_lock(&emu_lock);
    exec->graph = graph;
    graph->references++;
    for (int i = 0; i < graph->chains; i++)
        exec->components[i] = emu_component_take();
    emu_account(&(emu_task){.bytes = {.allocations = 1}});
    pthread_mutex_unlock(&emu_lock);
    *out = exec;
    return cudaSuccess;
}

static bool host_knows_all(const struct CUgraphExec_st *exec)
{
    bool all = true;
    for (int i = 0; i < exec->graph->chains; i++)
        all = all && emu_host_knows(exec->components[i], exec->last[i]);
    return all;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    pthread_mutex_lock(&emu_lock);
    if (!host_knows_all(exec))
        emu_violation_locked("a graph is destroyed while it may be running");
    for (int i = 0; i < exec->graph->chains; i++)
        emu_component_give(exec->components[i]);
    graph_release(exec->graph);
    pthread_mutex_unlock(&emu_lock);
    free(exec);
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream)
{
    (void)exec;
    pthread_mutex_lock(&emu_lock);
    bool known = emu_stream_check(stream, "cudaGraphUpload");
    pthread_mutex_unlock(&emu_lock);
    return emu_failed(refused == EMU_UPLOAD ? cudaErrorMemoryAllocation
                      : known               ? cudaSuccess
                                            : cudaErrorInvalidResourceHandle);
}

typedef struct {
    cudaGraph_t graph;
    unsigned seed;
} launch;

/* The nodes of a launch under way. */
typedef enum { NODE_NEW, NODE_RUNNING, NODE_DONE } node_state;
typedef struct {
    const struct CUgraph_st *graph;
    node_state *states;
    pthread_mutex_t lock; /* of states */
    pthread_cond_t changed;
} progress;

typedef struct {
    progress *all;
    int number;
    pthread_t thread;
} node_run;

static bool is_ready(const node *n, const node_state *states)
{
    for (int i = 0; i < n->before.count; i++)
        if (states[n->before.node[i]] != NODE_DONE)
            return false;
    return true;
}

/* Picks one of the nodes that may run now; -1: none may. */
static int node_choose(const progress *p, unsigned *seed)
{
    int chosen = -1, ready = 0;
    for (int i = 0; i < p->graph->count; i++)
        if (p->states[i] == NODE_NEW && is_ready(&p->graph->nodes[i], p->states) && rand_r(seed) % ++ready == 0)
            chosen = i;
    return chosen;
}

/* The same, after as many nodes as necessary have ended. */
static int node_await(progress *p, unsigned *seed)
{
    pthread_mutex_lock(&p->lock);
    int next = node_choose(p, seed);
    while (next < 0) {
        pthread_cond_wait(&p->changed, &p->lock);
        next = node_choose(p, seed);
    }
    p->states[next] = NODE_RUNNING;
    pthread_mutex_unlock(&p->lock);
    return next;
}

static void *node_main(void *context)
{
    const node_run *run = context;
    progress *p = run->all;
    const emu_task *task = &p->graph->nodes[run->number].task;
    task->work(task->data);
    pthread_mutex_lock(&p->lock);
    p->states[run->number] = NODE_DONE;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void nodes_run(progress *p, unsigned *seed)
{
    node_run *runs = emu_new((size_t)p->graph->count * sizeof *runs);
    int started = 0;
    for (int i = 0; i < p->graph->count; i++) {
        node_run one = {.all = p, .number = node_await(p, seed)};
        emu_pause(seed);
        if (!p->graph->nodes[one.number].task.waits) {
            (void)node_main(&one);
            continue;
        }
        runs[started] = one;
        if (pthread_create(&runs[started].thread, NULL, node_main, &runs[started]))
            abort();
        started++;
    }
    for (int i = 0; i < started; i++)
        pthread_join(runs[i].thread, NULL);
    free(runs);
}

static void launch_work(void *data)
{
    launch *l = data;
    progress p = {.graph = l->graph, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    p.states = emu_new((size_t)l->graph->count * sizeof *p.states);
    nodes_run(&p, &l->seed);
    free(p.states);
    pthread_mutex_lock(&emu_lock);
    graph_release(l->graph);
    pthread_mutex_unlock(&emu_lock);
}

/* The clock of a node: what the launch knows, and what the nodes that it depends on know. */
static void node_order(const struct CUgraphExec_st *exec, int number, emu_clock *clocks)
{
    const node *n = &exec->graph->nodes[number];
    for (int i = 0; i < n->before.count; i++)
        if (n->before.counts[i])
            emu_merge(&clocks[number], &clocks[n->before.node[i]]);
    emu_tick(&clocks[number], exec->components[n->chain]);
}

static void launch_check(struct CUgraphExec_st *exec, cudaStream_t stream, emu_task *all)
{
    const struct CUgraph_st *graph = exec->graph;
    emu_clock *clocks = emu_new((size_t)graph->count * sizeof *clocks), behind = stream->clock;
    for (int i = 0; i < graph->chains; i++)
        if (stream->clock.at[exec->components[i]] < exec->last[i])
            emu_violation_locked("a graph is launched while it may be running");
    for (int i = 0; i < graph->count; i++) {
        const node *n = &graph->nodes[i];
        int component = exec->components[n->chain];
        clocks[i] = stream->clock;
        node_order(exec, i, clocks);
        emu_accesses_check(&n->task, &(emu_place){component, n->device, &clocks[i]});
        emu_account(&n->task);
        emu_merge(&behind, &clocks[i]);
        exec->last[n->chain] = clocks[i].at[component];
        all->cost += n->task.cost;
    }
    stream->clock = behind;
    free(clocks);
}

static cudaError_t graph_launch(cudaGraphExec_t exec, cudaStream_t stream)
{
    if (emu_lost())
        return cudaErrorECCUncorrectable;
    if (!emu_stream_check(stream, "cudaGraphLaunch"))
        return cudaErrorInvalidResourceHandle;
    if (stream->capture)
        return emu_capture_break(stream->capture);
    emu_task task = {.name = "cudaGraphLaunch", .work = launch_work, .bytes = {.graphs = 1}};
    launch *l = task.data = emu_new(sizeof *l);
    *l = (launch){exec->graph, (unsigned)++numbers};
    exec->graph->references++;
    emu_order(stream);
    launch_check(exec, stream, &task);
    emu_queue(stream, &task);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    pthread_mutex_lock(&emu_lock);
    cudaError_t status = graph_launch(exec, stream);
    pthread_mutex_unlock(&emu_lock);
    return emu_failed(status);
}
