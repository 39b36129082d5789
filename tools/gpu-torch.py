#!/usr/bin/env python3
"""A training step of AlexNet in PyTorch, to compare with an-train's: channels last, fused SGD, images on the device. bf16 by autocast; tf32
and fp32 by what products and convolutions may round.

usage: gpu-torch.py eager|compiled SECONDS PRECISION:BATCH...      as in gpu-torch.py compiled 60 bf16:128 tf32:128
       gpu-torch.py nvjpeg SECONDS FOLDER BATCH...                  images/s of nvJPEG, as torchvision calls it

A line for each case, the faster of launching operation by operation and replaying a CUDA graph; no case is begun after SECONDS. nvjpeg decodes
the JPEG files of FOLDER's subfolders, which are in memory, whole and in batches; SECONDS are those of all batches. Exit status: 0, or 77 where
PyTorch, torchvision, files or a GPU are missing.
"""
import glob
import os
import statistics
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

ROUNDS, STEPS = 5, 10


def step_of(precision, batch, compiled):
    """A function that makes a step."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    model = AlexNet().cuda().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=True)
    images = torch.randint(0, 256, (batch, 3, 224, 224), dtype=torch.uint8, device="cuda").to(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (batch,), device="cuda")
    forward = torch.compile(model, dynamic=False) if compiled else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            logits = forward(images)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step, optimizer


def timed(step):
    """Milliseconds of a step by the device's clock."""
    times = []
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(STEPS):
            step()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / STEPS)
    return statistics.median(times)


def replay_of(step, optimizer):
    """The step as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def measure(how, precision, batch):
    step, optimizer = step_of(precision, batch, how == "compiled")
    for _ in range(5):
        step()
    plain, graph = timed(step), None
    try:
        graph = timed(replay_of(step, optimizer))
    except RuntimeError as refused:
        print(f"no graph of {precision}, {batch}: {str(refused).splitlines()[0]}")
    best = min(plain, graph or plain)
    print(f"{precision} {batch} {how} {best:.2f} ms: {batch / best * 1e3:.0f} images/s; operation by operation {plain:.2f} ms" +
          (f", graph {graph:.2f} ms" if graph else ""), flush=True)


def decode(seconds, folder, batches):
    try:
        from torchvision.io import decode_jpeg, read_file
    except ImportError as missing:
        print(f"no torchvision: {missing}")
        sys.exit(77)
    files = [read_file(path) for path in sorted(glob.glob(os.path.join(folder, "*", "*.jpg")))]
    if not files:
        print(f"no JPEG files in '{folder}'")
        sys.exit(77)
    for batch in batches:
        def run(first, batch=batch):
            decode_jpeg([files[(first + i) % len(files)] for i in range(batch)], device="cuda")

        for warm in range(3):
            run(warm * batch)
        torch.cuda.synchronize()
        began, done = time.monotonic(), 0
        while time.monotonic() - began < seconds / len(batches):
            run(done)
            done += batch
        torch.cuda.synchronize()
        print(f"nvjpeg {batch} {done / (time.monotonic() - began):.0f} images/s", flush=True)


def main(how, limit, cases):
    print(f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}", flush=True)
    if how == "nvjpeg":
        decode(limit, cases[0], [int(batch) for batch in cases[1:]])
        return
    torch.backends.cudnn.benchmark = True
    deadline = time.monotonic() + limit
    for case in cases:
        if time.monotonic() > deadline:
            print(f"no time left for {case}")
            continue
        precision, batch = case.split(":")
        measure(how, precision, int(batch))
        torch.cuda.empty_cache()


if len(sys.argv) < 4 or sys.argv[1] not in ("eager", "compiled", "nvjpeg"):
    print(__doc__, file=sys.stderr)
    sys.exit(2)
main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
