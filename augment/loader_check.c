/* Compares what was read with the dataset's index. Label, length and size are compared record by record. That every
 * index leads to the record that was written under it shows only in a sum over all of them (store/dataset/headers.h):
 * it is compared once, at the end of the first epoch by which nearly all records were read. Those that a dropped batch
 * has left out, fewer than a batch, are looked up then. One of several ranks, or a loader of a subset, may come to this
 * late or never. */
#include "augment/loader_private.h"

int an_loader_parse(const an_loader *l, an_loader_item *it, an_record *out)
{
    it->parsed = false;
    if (it->read.status)
        return an_reader_read_error(l->reader, &it->read);
    int rc = an_record_parse(it->read.data, it->read.length, out);
    if (rc)
        return rc;
    rc = an_dataset_record_matches(l->options.dataset, it->record, &out->header);
    if (rc)
        return rc;
    it->header_hash = an_dataset_headers_hash(it->read.data, it->record);
    it->parsed = true;
    return l->options.verify ? an_record_verify(out) : AN_OK;
}

void an_loader_count_in(an_loader *l, const an_loader_item *it)
{
    if (it->parsed)
        an_dataset_headers_add(l->headers, it->record, it->header_hash);
}

int an_loader_check_epoch(an_loader *l)
{
    return an_dataset_headers_compare(l->headers, l->options.batch - 1);
}
