#include "tools/show/views/filters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "train/state/safetensors.h"
#include "train/trained/trained.h"

#define COLUMNS 16
#define CELL 44.0
#define GAP 4.0
#define MARGIN 24.0
#define TOP 62.0
#define HEADING 24.0
#define COUNT_MAX 4096
#define SIDE_MAX 64

static int tensor_check(const an_safetensor *t, const char *path)
{
    if (!t)
        return an_error(AN_EINVAL, "'%s' has no tensor 'conv1.weight': it is no network of an-train", path);
    if (t->rank != 4 || t->shape[1] != 3 || t->shape[2] != t->shape[3] || !t->shape[0] || t->shape[0] > COUNT_MAX ||
        !t->shape[2] || t->shape[2] > SIDE_MAX)
        return an_error(AN_EINVAL, "'%s': 'conv1.weight' holds no square kernels over three colours", path);
    return AN_OK;
}

static int read_tensor(an_filters *f, const char *path)
{
    an_safetensors *file = NULL;
    int rc = an_safetensors_open(&file, path);
    const an_safetensor *t = rc ? NULL : an_safetensors_find(file, "average.conv1.weight");
    if (!rc && !t)
        t = an_safetensors_find(file, "conv1.weight");
    if (!rc)
        rc = tensor_check(t, path);
    if (!rc) {
        f->count = f->split = (int)t->shape[0];
        f->side = (int)t->shape[2];
        f->values = malloc((size_t)(f->count * f->side * f->side * 3) * sizeof(float));
        rc = f->values ? an_safetensors_read(file, t, f->values) : an_error(AN_ENOMEM, "out of memory for kernels");
    }
    an_safetensors_free(file);
    return rc;
}

/* The number of the first kernel of the second device. */
static int find_split(an_filters *f, an_trained *trained)
{
    an_graph graph;
    int rc = an_trained_graph(trained, &graph);
    for (int i = 0; !rc && i < graph.count; i++)
        if (graph.nodes[i].kind == AN_OP_CONV && graph.nodes[i].device == 1 && graph.nodes[i].layer == 1)
            f->split = graph.nodes[i].channel_offset;
    return rc;
}

int an_filters_load(an_filters *out, const an_trained_source *source)
{
    an_trained trained;
    *out = (an_filters){0};
    int rc = an_trained_open_source(&trained, source);
    if (!rc)
        rc = read_tensor(out, trained.path);
    if (!rc)
        rc = find_split(out, &trained);
    an_trained_close(&trained);
    if (rc < 0)
        an_filters_free(out);
    return rc;
}

void an_filters_free(an_filters *filters)
{
    free(filters->values);
    filters->values = NULL;
}

static float largest(const float *values, size_t count)
{
    float most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmaxf(most, fabsf(values[i]));
    return most > 0 ? most : 1;
}

static void kernel_paint(const an_filters *f, int number, float scale, an_image *out)
{
    size_t plane = (size_t)(f->side * f->side);
    const float *values = f->values + 3 * plane * (size_t)number;
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++)
            out->pixels[3 * i + c] = (uint8_t)lrintf(127.5f + 127.5f * values[c * plane + i] / scale);
}

/* Kernels first to end in rows from y on; returns where the next row would be. */
static double rows_draw(an_canvas *canvas, const an_filters *f, int first, int end, float scale, double y,
                        an_image *image)
{
    size_t size = (size_t)(3 * f->side * f->side);
    for (int i = first; i < end; i++) {
        double x = MARGIN + (CELL + GAP) * ((i - first) % COLUMNS);
        kernel_paint(f, i, scale > 0 ? scale : largest(f->values + size * (size_t)i, size), image);
        an_canvas_image(canvas, image, x, y + (CELL + GAP) * ((i - first) / COLUMNS), CELL, CELL, true);
    }
    return y + (CELL + GAP) * ((end - first + COLUMNS - 1) / COLUMNS);
}

static void heading(an_canvas *canvas, double y, int device, int kernels)
{
    char text[64];
    snprintf(text, sizeof(text), "device %d: %d kernels", device, kernels);
    an_canvas_text(canvas, text, &(an_text_style){MARGIN, y, 0, 11.5, AN_ALIGN_LEFT, AN_COLOUR_DEVICE(device), true});
}

static void draw(an_canvas *canvas, const an_filters *f, bool together, an_image *image)
{
    float scale = together ? largest(f->values, (size_t)(f->count * 3 * f->side * f->side)) : 0;
    char text[96];
    snprintf(text, sizeof(text), "%d of %d \u00d7 %d \u00d7 3, %s; zero is grey", f->count, f->side, f->side,
             together ? "one scale for all" : "each scaled for itself");
    an_canvas_text(canvas, "First-layer kernels",
                   &(an_text_style){MARGIN, 32, 0, 16, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    an_canvas_text(canvas, text, &(an_text_style){MARGIN, 51, 0, 11.5, AN_ALIGN_LEFT, AN_COLOUR_MUTED, false});
    double y = TOP;
    if (f->split < f->count) {
        heading(canvas, y + 16, 0, f->split);
        y = rows_draw(canvas, f, 0, f->split, scale, y + HEADING, image);
        heading(canvas, y + 20, 1, f->count - f->split);
        y += 4;
    }
    rows_draw(canvas, f, f->split < f->count ? f->split : 0, f->count, scale, y + HEADING, image);
}

static int rows_of(int kernels)
{
    return (kernels + COLUMNS - 1) / COLUMNS;
}

int an_filters_draw(an_canvas **out, an_canvas_kind kind, const an_filters *f, bool together)
{
    int rows = rows_of(f->split) + rows_of(f->count - f->split);
    double height = TOP + (f->split < f->count ? 2 : 1) * (HEADING + 4) + rows * (CELL + GAP) + MARGIN - 8;
    an_image image = {0};
    an_canvas *canvas = NULL;
    int rc = an_image_set_size(&image, (uint32_t)f->side, (uint32_t)f->side);
    if (!rc)
        rc = an_canvas_create(&canvas, kind, 2 * MARGIN + COLUMNS * (CELL + GAP) - GAP, height, "First-layer kernels");
    if (!rc)
        draw(canvas, f, together, &image);
    an_image_free(&image);
    *out = canvas;
    return rc;
}
