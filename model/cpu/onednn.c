#include "model/cpu/onednn.h"

#include "model/backend.h"

dnnl_alg_kind_t an_onednn_activation(an_activation activation, bool by_output)
{
    static const dnnl_alg_kind_t kinds[][2] = {
        [AN_ACTIVATION_RELU] = {dnnl_eltwise_relu, dnnl_eltwise_relu_use_dst_for_bwd},
        [AN_ACTIVATION_TANH] = {dnnl_eltwise_tanh, dnnl_eltwise_tanh_use_dst_for_bwd},
        [AN_ACTIVATION_SIGMOID] = {dnnl_eltwise_logistic, dnnl_eltwise_logistic_use_dst_for_bwd}};
    return kinds[activation][by_output];
}

uint64_t an_desc_hash_dims(uint64_t hash, const dnnl_dim_t *dims, int count)
{
    for (int i = 0; i < count; i++)
        hash = an_hash_mix(hash, (uint64_t)dims[i]);
    return hash;
}

#if AN_ONEDNN_3
#define APPEND_ELTWISE(ops, kind) dnnl_post_ops_append_eltwise(ops, kind, 0, 0)
#define APPEND_SUM(ops) dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef)
#else
#define APPEND_ELTWISE(ops, kind) dnnl_post_ops_append_eltwise(ops, 1, kind, 0, 0)
#define APPEND_SUM(ops) dnnl_post_ops_append_sum(ops, 1)
#endif

dnnl_status_t an_onednn_append_activation(dnnl_primitive_attr_t attr, an_activation activation)
{
    dnnl_post_ops_t ops;
    if (activation == AN_ACTIVATION_NONE)
        return dnnl_success;
    dnnl_status_t status = dnnl_post_ops_create(&ops);
    if (status != dnnl_success)
        return status;
    status = APPEND_ELTWISE(ops, an_onednn_activation(activation, false));
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

dnnl_status_t an_onednn_append_sum(dnnl_primitive_attr_t attr)
{
    dnnl_post_ops_t ops;
    dnnl_status_t status = dnnl_post_ops_create(&ops);
    if (status != dnnl_success)
        return status;
    status = APPEND_SUM(ops);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

int an_backend_libraries(an_buffer *out)
{
    const dnnl_version_t *version = dnnl_version();
    return an_buffer_printf(out, "oneDNN %d.%d.%d\n", version->major, version->minor, version->patch);
}
