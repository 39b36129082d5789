/* What the CUDA backend's module is called, and the libraries that it needs. Part of every build, also of those without
 * a CUDA toolkit: a module that was made elsewhere can be put beside their programs. */
#include "model/backend_module.h"

static const an_module_library libraries[] = {
    {"libcudart.so.13", "cuda-cudart-13-0", "nvidia-cuda-runtime"},
    {"libcublasLt.so.13", "libcublas-13-0", "nvidia-cublas"},
    {"libcudnn.so.9", "libcudnn9-cuda-13", "nvidia-cudnn-cu13"}, /* finds its parts in its own folder */
};

const an_module_spec an_backend_cuda_module = {
    .name = "CUDA",
    .vendor = "NVIDIA",
    .file = "an_cuda.so",
    .file_variable = "AN_CUDA_MODULE",
    .folders_variable = "AN_CUDA_LIBRARIES",
    .vendor_folder = "/usr/local/cuda/lib64",
    .wheel_folders = "nvidia/*/lib",
    .libraries = libraries,
    .count = sizeof libraries / sizeof *libraries,
};
