#include "store/image/image.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"

int an_image_set_size(an_image *image, uint32_t width, uint32_t height)
{
    size_t size;
    int rc = an_size_multiply(width, height, &size);
    if (rc)
        return rc;
    rc = an_size_multiply(size, 3, &size);
    if (rc)
        return rc;
    if (size > image->capacity) {
        uint8_t *pixels = malloc(size);
        if (!pixels)
            return an_error(AN_ENOMEM, "no memory for an image of %ux%u pixels", width, height);
        free(image->pixels);
        image->pixels = pixels;
        image->capacity = size;
    }
    image->width = width;
    image->height = height;
    return AN_OK;
}

void an_image_free(an_image *image)
{
    free(image->pixels);
    *image = (an_image){0};
}
