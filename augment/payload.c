#include "augment/payload.h"

static size_t align(size_t bytes)
{
    return (bytes + AN_PAYLOAD_ALIGNMENT - 1) / AN_PAYLOAD_ALIGNMENT * AN_PAYLOAD_ALIGNMENT;
}

size_t an_payload_places_offset(uint32_t count)
{
    return align(count * sizeof(an_image_draw));
}

size_t an_payload_first_offset(uint32_t count)
{
    return an_payload_places_offset(count) + align(count * sizeof(an_payload));
}
