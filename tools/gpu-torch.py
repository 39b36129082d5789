#!/usr/bin/env python3
"""A training step of AlexNet in PyTorch, to compare with an-train's: bf16, channels last, fused SGD, images on the device.

usage: gpu-torch.py eager|compiled [BATCH]      exit status: 0, or 77 where PyTorch or a GPU is missing
"""
import sys
import time

try:
    import torch
except ImportError as missing:
    print(f"no PyTorch: {missing}")
    sys.exit(77)
if not torch.cuda.is_available():
    print(f"PyTorch {torch.__version__} sees no GPU")
    sys.exit(77)
from alexnet_torch import AlexNet  # noqa: E402

STEPS = 50


def main(how, batch):
    torch.backends.cudnn.benchmark = True
    model = AlexNet().cuda().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True)
    images = torch.randint(0, 256, (batch, 3, 224, 224), dtype=torch.uint8, device="cuda").to(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (batch,), device="cuda")
    forward = torch.compile(model) if how == "compiled" else model

    def step():
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(forward(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(10):
        step()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(STEPS):
        step()
    torch.cuda.synchronize()
    took = (time.perf_counter() - begun) / STEPS
    print(f"{batch / took:.0f} images/s, {took * 1e3:.2f} ms a step of {batch} (PyTorch {torch.__version__}, {how})")


if len(sys.argv) not in (2, 3) or sys.argv[1] not in ("eager", "compiled"):
    print(__doc__, file=sys.stderr)
    sys.exit(2)
main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 128)
