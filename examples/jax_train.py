#!/usr/bin/env python3
"""Trains a small convolutional network in plain JAX on a dataset that an-ingest or an_loader.Writer made.

    python examples/jax_train.py data/train data/val --epochs 10

Batches become JAX arrays by DLPack. On a CPU they lie in the loader's memory, without a copy; a batch's memory is used again
once its arrays are gone. Exit status 77: JAX is not installed."""
import argparse
import functools
import sys

import an_loader

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    print("jax_train: JAX is not installed: pip install jax")
    sys.exit(77)

WIDTHS = (16, 32, 64, 128)  # channels of the convolutions, each of which halves the side


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="dataset to train on")
    parser.add_argument("val", help="dataset to validate on after each epoch")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--crop", type=int, default=64, help="pixels of the side of an image (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0.02, help="learning rate (default: %(default)s)")
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="that load images; 0: one for each processor")
    return parser.parse_args()


def loaders(options):
    common = {"crop": options.crop, "layout": "nhwc", "dtype": "f32", "mean": "dataset", "std": "dataset", "labels": "i32",
              "threads": options.threads}
    return (an_loader.Loader(options.train, options.batch_size, seed=options.seed, **common),
            an_loader.Loader(options.val, options.batch_size, order="sequential", centre=True, mirror=False, last="short", **common))


def arrays(loader):
    """Each batch's images, labels and number of samples that were not shown before."""
    for batch in loader:
        images, labels = (jax.dlpack.from_dlpack(array) for array in batch)
        yield images, labels, len(labels) - batch.repeated


def initial(key, classes):
    """He initialisation: the variance of a weight is 2 / inputs."""
    parameters, inputs = [], 3
    for width in WIDTHS:
        key, own = jax.random.split(key)
        kernel = jax.random.normal(own, (3, 3, inputs, width)) * (2 / (9 * inputs)) ** 0.5
        parameters.append((kernel, jnp.zeros(width)))
        inputs = width
    parameters.append((jax.random.normal(key, (inputs, classes)) * (1 / inputs) ** 0.5, jnp.zeros(classes)))
    return parameters


def logits_of(parameters, images):
    values = images
    for kernel, bias in parameters[:-1]:
        values = jax.lax.conv_general_dilated(values, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        values = jax.nn.relu(values + bias)
    weights, bias = parameters[-1]
    return values.mean((1, 2)) @ weights + bias


def loss_of(parameters, images, labels):
    logs = jax.nn.log_softmax(logits_of(parameters, images))
    return -jnp.take_along_axis(logs, labels[:, None], 1).mean()


@functools.partial(jax.jit, static_argnums=(4, 5))
def step(parameters, velocity, images, labels, rate, momentum):
    """One step of SGD with momentum."""
    loss, gradient = jax.value_and_grad(loss_of)(parameters, images, labels)
    velocity = jax.tree_util.tree_map(lambda v, g: momentum * v - rate * g, velocity, gradient)
    return jax.tree_util.tree_map(jnp.add, parameters, velocity), velocity, loss


@jax.jit
def right(parameters, images, labels):
    return logits_of(parameters, images).argmax(1) == labels


def main():
    options = parse_options()
    train, val = loaders(options)
    parameters = initial(jax.random.PRNGKey(options.seed), len(train.dataset.classes))
    velocity = jax.tree_util.tree_map(jnp.zeros_like, parameters)
    for epoch in range(options.epochs):
        losses = []
        for images, labels, _ in arrays(train):
            parameters, velocity, loss = step(parameters, velocity, images, labels, options.rate, options.momentum)
            losses.append(float(loss))  # waits for the step, so that few batches are held at once
        hits = [right(parameters, images, labels)[:new] for images, labels, new in arrays(val)]
        print(f"epoch {epoch} loss {sum(losses) / len(losses):.4f} validation {100 * jnp.concatenate(hits).mean():.2f} %", flush=True)


if __name__ == "__main__":
    main()
