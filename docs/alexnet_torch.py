"""AlexNet as an-train builds it, in PyTorch: loads what `an-train export` writes and gives the same logits.

    from safetensors.torch import load_file
    model = AlexNet(classes=1000, side=256)
    model.load_state_dict(load_file("weights.safetensors"))
    model.eval()
    logits = model(images)        # N x 3 x 224 x 224, RGB, 0..255, the centre of 256 x 256 images

Tensor names are those of the file: conv1.weight (O x I/groups x K x K), fc6.weight (O x I), and the preprocessing that the
weights were trained with: input.mean_image (side x side x 3, 0..255) is subtracted, input.scale multiplied with.
"""
import torch
from torch import nn
from torch.nn import functional as F


class Input(nn.Module):
    """Mean image and scale; images are the centre of what was stored."""

    def __init__(self, side):
        super().__init__()
        self.register_buffer("mean_image", torch.zeros(side, side, 3))
        self.register_buffer("scale", torch.ones(1))

    def forward(self, images):
        crop, side = images.shape[-1], self.mean_image.shape[0]
        at = (side - crop) // 2
        mean = self.mean_image[at:at + crop, at:at + crop].permute(2, 0, 1)
        return (images.float() - mean) * self.scale


class AlexNet(nn.Module):
    """The network of the paper with its two halves: groups=2 where a layer sees only its own half."""

    def __init__(self, classes=1000, crop=224, side=256, dropout=0.5, lrn_alpha=1e-4):
        super().__init__()
        self.input = Input(side)
        self.dropout, self.lrn_alpha = dropout, lrn_alpha
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        last = crop
        for kernel, stride, round_up in ((11, 4, True), (3, 2, False), (3, 2, False), (3, 2, False)):
            last = (last - kernel + (stride - 1 if round_up else 0)) // stride + 1
        self.fc6 = nn.Linear(256 * last * last, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)

    def lrn(self, x):
        """k = 2, n = 5, beta = 0.75, the sum divided by n; windows never cross the two halves."""
        halves = [F.local_response_norm(half, 5, alpha=self.lrn_alpha, beta=0.75, k=2.0) for half in x.chunk(2, dim=1)]
        return torch.cat(halves, dim=1)

    def drop(self, x):
        return F.dropout(x, self.dropout, self.training)

    def forward(self, images):
        x = self.input(images)
        overhang = -(x.shape[-1] - 11) % 4  # the last windows overhang right and bottom
        x = F.relu(self.conv1(F.pad(x, (0, overhang, 0, overhang))))
        x = F.max_pool2d(self.lrn(x), 3, 2)
        x = F.max_pool2d(self.lrn(F.relu(self.conv2(x))), 3, 2)
        x = F.relu(self.conv3(x))
        x = F.relu(self.conv4(x))
        x = F.max_pool2d(F.relu(self.conv5(x)), 3, 2)
        x = self.drop(F.relu(self.fc6(x.flatten(1))))
        x = self.drop(F.relu(self.fc7(x)))
        return self.fc8(x)
