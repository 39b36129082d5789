#include <lmdb.h>

#include "base/error.h"
#include "store/dataset/dataset.h"
#include "store/record.h"

int an_dataset_libraries(an_buffer *out)
{
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    int rc = an_buffer_printf(out, "LMDB %d.%d.%d\n", major, minor, patch);
    return rc ? rc : an_codec_libraries(out);
}
