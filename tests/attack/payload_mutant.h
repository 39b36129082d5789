/* Damages payloads at random, and keeps as much of their structure as makes decoders go on. */
#ifndef AN_TESTS_ATTACK_PAYLOAD_MUTANT_H
#define AN_TESTS_ATTACK_PAYLOAD_MUTANT_H

#include "base/buffer.h"
#include "base/rng.h"
#include "store/record.h"

/* Append a damaged copy, of at least one byte, to out. Fails only for want of memory. */
int mutate_payload(an_rng *rng, const an_buffer *payload, an_codec codec, an_buffer *out);

#endif
