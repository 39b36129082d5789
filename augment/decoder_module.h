/* Decoders of batches in modules (base/module/module.h): what a program and a module agree about.
 *
 * The module exports one symbol, AN_DECODER_MODULE_SYMBOL. Its first member is a version that both must share. What the
 * module needs of the program is handed over in a table: there must be one copy of each thread's error message, and a
 * table also works where the program exports no symbols. */
#ifndef AN_AUGMENT_DECODER_MODULE_H
#define AN_AUGMENT_DECODER_MODULE_H

#include "augment/decoder.h"
#include "augment/feed.h"

/* To be raised with every change of what the two sides share: these tables, the functions of decoder.h and the structs
 * that they take. */
#define AN_DECODER_MODULE_VERSION 3

/* Functions of the program. Texts that are formatted here must not be formats again: pass them to "%s". */
typedef struct {
    int (*error)(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
} an_decoder_host;

/* The functions of feed.h of the same names. */
typedef struct {
    int (*create)(an_batch_feed **out, const an_batch_feed_options *options);
    void (*free)(an_batch_feed *feed);
    uint64_t (*memory)(const an_batch_feed *feed);
    int (*alloc)(void *feed, void **out, size_t size);
    void (*release)(void *feed, void *memory, size_t size);
    int (*grow)(an_batch_feed *feed);
    int (*put)(an_batch_feed *feed, uint32_t place, const void *block, size_t size, uint32_t count);
    int (*again)(an_batch_feed *feed, uint32_t place);
    int (*wait)(an_batch_feed *feed, uint32_t place, uint32_t *sample);
    int (*done)(an_batch_feed *feed, uint32_t place, uint32_t *sample);
    int (*read)(an_batch_feed *feed, uint32_t place, void *samples);
    void *(*samples)(const an_batch_feed *feed, uint32_t place);
    int (*use)(an_batch_feed *feed, uint32_t place, void *stream);
    int (*unuse)(an_batch_feed *feed, uint32_t place);
} an_feed_api;

/* The functions of decoder.h of the same names, and those of feeds. */
typedef struct {
    int (*create)(an_batch_decoder **out, const an_batch_decoder_options *options);
    void (*free)(an_batch_decoder *decoder);
    size_t (*bytes)(const an_batch_decoder *decoder);
    uint64_t (*memory)(const an_batch_decoder *decoder);
    int (*queue)(an_batch_decoder *decoder, const void *block, size_t size, uint32_t count, void *samples,
                 void *stream);
    int (*result)(an_batch_decoder *decoder, uint32_t *sample);
    const an_feed_api *feed;
} an_decoder_api;

/* All that crosses. Its size catches a change after which raising the version was forgotten. */
typedef struct {
    an_decoder_api api;
    an_decoder_host host;
    an_batch_decoder_options options;
    an_feed_api feed;
    an_batch_feed_options feed_options;
    an_payload payload;
    an_image_draw draw;
} an_decoder_shared;

typedef struct {
    uint32_t version; /* AN_DECODER_MODULE_VERSION; stays the first member for ever */
    uint32_t shared;  /* the size of an_decoder_shared */
    const an_decoder_api *(*begin)(const an_decoder_host *host); /* host lives as long as the process */
} an_decoder_module;

/* In the program: load the module, once. */
int an_decoder_module_load(const an_decoder_api **out);

#define AN_DECODER_MODULE_SYMBOL "an_decoder_module_row"
extern const an_decoder_module an_decoder_module_row; /* in a module */

#endif
