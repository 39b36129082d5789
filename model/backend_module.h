/* Backends in modules (base/module/module.h): what a program and a module agree about.
 *
 * The module exports one symbol, AN_BACKEND_MODULE. Its first member is a version that both must share. Whatever the
 * backend needs of the program is handed over in a table, for two reasons: there must be one copy of what has a state,
 * above all of each thread's error message; and a table also works where the program exports no symbols, or is itself a
 * library inside another process, like an extension of Python. */
#ifndef AN_MODEL_BACKEND_MODULE_H
#define AN_MODEL_BACKEND_MODULE_H

#include "base/buffer.h"
#include "base/module/module.h"
#include "base/rng.h"
#include "model/backend.h"
#include "model/choices.h"

/* To be raised with every change of what the two sides share: these tables, the meaning of an_backend_api's functions
 * and of the structs that they take. */
#define AN_BACKEND_MODULE_VERSION 9

/* Functions of the program. Each is the function of the same name with an_ before it. Texts that are formatted here
 * must not be formats again: pass them to "%s". */
typedef struct {
    int (*error)(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
    int (*error_prefix)(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
    const char *(*error_message)(void);
    int (*buffer_printf)(an_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
    an_rng (*rng_make)(uint64_t seed, an_rng_purpose purpose, uint64_t epoch, uint64_t index);
    const an_kind *(*kind_find)(an_op_kind kind);
    const char *(*op_name)(an_op_kind kind);
    const an_choice *(*choices_find)(an_choices *choices, const char *key);
    int (*choices_replace)(an_choices *choices, const an_choice *choice);
} an_backend_host;

/* All that crosses. Its size catches a change after which raising the version was forgotten. */
typedef struct {
    an_backend_api api;
    an_backend_host host;
    an_backend_options options;
    an_conversion conversion;
    an_image_decoder decoder;
    an_image_decoding decoding;
    an_graph graph;
    an_op_spec spec;
    an_snapshot_part part;
    an_run run;
    an_images images;
    an_targets targets;
    an_sgd sgd;
    an_exec_result result;
    an_device_time time;
    an_choice choice;
    an_buffer buffer;
    an_gradient gradient;
} an_backend_shared;

typedef struct {
    uint32_t version; /* AN_BACKEND_MODULE_VERSION; stays the first member for ever */
    uint32_t shared;  /* the size of an_backend_shared */
    const an_backend_api *(*begin)(const an_backend_host *host); /* host lives as long as the process */
} an_backend_module;

#define AN_BACKEND_MODULE_SYMBOL "an_backend_module_row"
extern const an_backend_module an_backend_module_row; /* in a module */

/* The specifications of the modules that there are, whether or not this build makes them. */
extern const an_module_spec an_backend_cuda_module;

/* Loads a backend's module, or returns what has been loaded before. Any thread may call it; *loaded, which is NULL at
 * first, belongs to it. AN_EUNSUPPORTED says what is missing and what to do about it. */
int an_backend_module_load(const an_backend_api **out, const an_backend_api **loaded, const an_module_spec *spec);

#endif
