/* What --decode auto chooses: who decodes the training images. It is asked only where a device can decode them.
 *
 * The rule. Decoding on the device costs the network a little of its time, decoding on the host costs it nothing as
 * long as the host keeps up. So the host decodes if its loader threads decode at least AN_DECODE_MARGIN times as many
 * images a second as the network takes, else the device. Both are measured, for about 0.2 s each. Which one it is
 * changes no bit of the result, so a run that is resumed may choose again.
 *
 * One thread calls these. */
#ifndef AN_TRAIN_SETUP_DECODE_CHOICE_H
#define AN_TRAIN_SETUP_DECODE_CHOICE_H

#include "augment/loader.h"
#include "model/exec.h"

#define AN_DECODE_MARGIN 1.2

typedef struct {
    double host;    /* images/s that the loader's threads decode, however fast the disk is */
    double network; /* images/s that training steps take */
} an_decode_rates;

an_decode_place an_decode_rule(const an_decode_rates *rates);

/* loader: of samples, in the order and with the threads of training; some of its batches are taken. exec: its
 * parameters are set, and stay; its momentum is 0 afterwards. */
int an_decode_measure(an_loader *loader, an_exec *exec, an_decode_rates *out);

#endif
