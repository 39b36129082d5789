/* What stands for sheet.c where Cairo is left out. */
#include "base/error.h"
#include "ingest/commands/sheet.h"

int an_sheet_make(const an_dataset *dataset, const an_sheet_options *options, an_buffer *out)
{
    (void)dataset;
    (void)options;
    (void)out;
    return an_error(AN_EUNSUPPORTED,
                    "this an-ingest was built without Cairo, which draws sheets; the Debian package and the "
                    "tarball have one that draws them");
}
