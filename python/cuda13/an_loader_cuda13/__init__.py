"""The module with which an_loader decodes on CUDA devices: Loader(..., device="cuda:0"). an_loader finds it here; there is nothing to
call. It needs the NVIDIA driver of the 580 series or later, and nothing else of CUDA."""

import os

MODULE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "an_decode_cuda.so")

__all__ = ["MODULE"]
