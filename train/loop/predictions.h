/* What a network says about single images: its class probabilities in order, and counts of them over many images.
 *
 * One order decides everywhere which class comes first: the higher probability, and of equal probabilities the lower
 * class number. The rank of a class is the number of classes before it. Top-1, top-5, confusions and printed
 * predictions all follow it, so an image counts as correct exactly if its label is the first class printed.
 *
 * Probabilities that are not finite have no order: functions that are given some refuse them. */
#ifndef AN_TRAIN_LOOP_PREDICTIONS_H
#define AN_TRAIN_LOOP_PREDICTIONS_H

#include <stddef.h>
#include <stdint.h>

#define AN_PREDICTION_TOP 5

typedef struct {
    uint64_t index; /* record */
    uint32_t label; /* true class */
    uint32_t count; /* classes listed: AN_PREDICTION_TOP, or all if there are fewer */
    uint32_t top[AN_PREDICTION_TOP];
    float probability[AN_PREDICTION_TOP];
} an_prediction;

/* The most probable classes in order. AN_ECORRUPT if a probability is not finite: the message names the record and what
 * to do. */
int an_prediction_make(an_prediction *out, uint64_t index, uint32_t label, const float *probabilities,
                       uint32_t classes);

/* Rank of label, 0 for the first. The probabilities must be finite: an_prediction_check. */
uint32_t an_prediction_rank(const float *probabilities, uint32_t classes, uint32_t label);

/* AN_ECORRUPT, as an_prediction_make returns it, if one of the probabilities for record index is not finite. */
int an_prediction_check(uint64_t index, const float *probabilities, uint32_t classes);

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
