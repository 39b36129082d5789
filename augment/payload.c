#include "augment/payload.h"

size_t an_payload_align(size_t bytes)
{
    return (bytes + AN_PAYLOAD_ALIGNMENT - 1) / AN_PAYLOAD_ALIGNMENT * AN_PAYLOAD_ALIGNMENT;
}

size_t an_payload_places_offset(uint32_t count)
{
    return an_payload_align(count * sizeof(an_image_draw));
}

size_t an_payload_first_offset(uint32_t count)
{
    return an_payload_places_offset(count) + an_payload_align(count * sizeof(an_payload));
}
