/* What a network says about single images: class probabilities in order, kept for a chosen few or counted for all. */
#ifndef AN_TRAIN_LOOP_PREDICTIONS_H
#define AN_TRAIN_LOOP_PREDICTIONS_H

#include <stddef.h>
#include <stdint.h>

#define AN_PREDICTION_TOP 5

typedef struct {
    uint64_t index; /* record */
    uint32_t label; /* true class */
    uint32_t count; /* classes listed: 5, or all if there are fewer */
    uint32_t top[AN_PREDICTION_TOP];
    float probability[AN_PREDICTION_TOP];
} an_prediction;

/* The most probable classes, highest first; equal ones by class number. */
an_prediction an_prediction_make(uint64_t index, uint32_t label, const float *probabilities, uint32_t classes);

/* How many classes stand before label in that order: 0 means that it is the first. */
uint32_t an_prediction_rank(const float *probabilities, uint32_t classes, uint32_t label);

/* For each true class, how often each class was the most probable one. */
typedef struct {
    uint32_t classes;
    uint64_t *counts; /* classes x classes: [label * classes + predicted] */
} an_confusion;

int an_confusion_init(an_confusion *confusion, uint32_t classes);
void an_confusion_free(an_confusion *confusion);
void an_confusion_add(an_confusion *confusion, uint32_t label, uint32_t predicted);
uint64_t an_confusion_total(const an_confusion *confusion, uint32_t label);
uint64_t an_confusion_correct(const an_confusion *confusion, uint32_t label);

typedef struct {
    uint32_t label, predicted;
    uint64_t count;
} an_confused;

/* The most frequent mistakes, most frequent first; returns how many were written (at most wanted). */
size_t an_confusion_worst(const an_confusion *confusion, an_confused *out, size_t wanted);

#endif
