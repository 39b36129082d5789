/* What an-train prints on standard output while it trains and at the end. */
#ifndef AN_TRAIN_COMMANDS_CONSOLE_H
#define AN_TRAIN_COMMANDS_CONSOLE_H

#include "train/loop/trainer.h"
#include "train/watch/metrics.h"

typedef struct {
    bool quiet, json;
} an_console;

/* For an_train_observer.tell; context is an an_console. */
void an_console_tell(void *context, const an_train_event *event);

void an_console_summary(const an_console *console, const an_train_summary *summary);

#endif
