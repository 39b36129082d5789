#include "store/image/image.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"

int an_image_set_size(an_image *image, uint32_t width, uint32_t height)
{
    size_t size;
    int status = an_size_multiply(width, height, &size);
    if (status == AN_OK)
        status = an_size_multiply(size, 3, &size);
    if (status != AN_OK)
        return status;
    if (size > image->capacity) {
        uint8_t *pixels = malloc(size);
        if (pixels == NULL)
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
