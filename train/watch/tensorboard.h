/* TensorBoard event files: scalars, images and histograms that the real TensorBoard shows.
 *
 * A file is a sequence of records (length, masked CRC-32C of the length, data, masked CRC-32C of the data), each
 * holding one Protobuf message Event (tensorflow/core/util/event.proto). Any thread may write; each event is flushed to
 * the file as a whole. A failed write is AN_EIO or AN_ENOSPC. */
#ifndef AN_TRAIN_WATCH_TENSORBOARD_H
#define AN_TRAIN_WATCH_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

typedef struct an_tensorboard an_tensorboard;

/* Begin a new file in folder, which is made if absent. step is where this process begins: TensorBoard then drops what
 * an earlier process of the same run wrote for later steps. */
int an_tensorboard_open(an_tensorboard **out, const char *folder, uint64_t step);
void an_tensorboard_close(an_tensorboard *board); /* NULL is fine */

int an_tensorboard_scalar(an_tensorboard *board, uint64_t step, const char *tag, double value);
/* rgb: height rows of width * 3 bytes. */
int an_tensorboard_image(an_tensorboard *board, uint64_t step, const char *tag, const uint8_t *rgb, uint32_t width,
                         uint32_t height);
int an_tensorboard_histogram(an_tensorboard *board, uint64_t step, const char *tag, const float *values,
                             uint64_t count);

/* What a plugin of TensorBoard keeps with a tag: content is a message of its own. */
int an_tensorboard_plugin(an_tensorboard *board, uint64_t step, const char *tag, const char *plugin,
                          const an_buffer *content);

/* CRC-32C (Castagnoli), as RFC 3720 has it. */
uint32_t an_crc32c(const void *data, size_t size);

#endif
