"""What training draws: the order of the images, and what is mixed into each, as base/rng.h, augment/order/order.c and augment/sample/mix.c have it."""
import math

ORDER, CROP, FLIP, JITTER, MIXUP, CUTMIX, MIX = 1, 2, 3, 4, 10, 11, 12  # purposes of numbers


def low(value, bits=32):
    return value & ((1 << bits) - 1)


class Rng:
    """Philox4x32-10, addressed by (seed, purpose, epoch, index)."""

    def __init__(self, seed, purpose, epoch, index):
        self.key = low(seed), seed >> 32
        self.counter = [0, purpose << 24 | low(epoch, 24), low(index), index >> 32 ^ epoch >> 24]
        self.words = []

    def block(self):
        a, b, c, d = self.counter
        key0, key1 = self.key
        for _ in range(10):
            p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
            a, b, c, d = q >> 32 ^ b ^ key0, low(q), p >> 32 ^ d ^ key1, low(p)
            key0, key1 = low(key0 + 0x9E3779B9), low(key1 + 0xBB67AE85)
        self.counter[0] += 1
        return [a, b, c, d]

    def u32(self):
        self.words = self.words or self.block()
        return self.words.pop(0)

    def below(self, bound):
        product = self.u32() * bound
        while low(product) < 2**32 % bound:
            product = self.u32() * bound
        return product >> 32

    def log_uniform(self):
        return math.log((self.u32() + 1) / 2**32)

    def normal(self):
        radius = math.sqrt(-2 * self.log_uniform())
        return radius * math.cos(2 * math.pi * self.u32() / 2**32)

    def log_gamma(self, shape):
        if shape < 1:
            larger = self.log_gamma(shape + 1)
            return larger + self.log_uniform() / shape
        d = shape - 1 / 3
        while True:
            x = self.normal()
            v = (1 + x / math.sqrt(9 * d))**3
            if v > 0 and self.log_uniform() < x * x / 2 + d - d * v + d * math.log(v):
                return math.log(d * v)

    def beta(self, alpha):
        x, y = self.log_gamma(alpha), self.log_gamma(alpha)
        return 1 / (1 + math.exp(y - x))


def scramble(x):
    """splitmix64's output function."""
    x = low((x ^ x >> 30) * 0xbf58476d1ce4e5b9, 64)
    x = low((x ^ x >> 27) * 0x94d049bb133111eb, 64)
    return x ^ x >> 31


def order(seed, count, epoch):
    """The records in the order of an epoch: 8 rounds of a Feistel network over numbers of an even number of bits, 6 or more, again until a record is met."""
    rng, half = Rng(seed, ORDER, epoch, 0), 3
    while count > 1 << 2 * half:
        half += 1
    key, records = rng.u32() << 32 | rng.u32(), []
    for value in range(count):
        while True:
            left, right = value >> half, low(value, half)
            for i in range(8):
                of_round = scramble(low(key + (i + 1) * 0x9e3779b97f4a7c15, 64))
                left, right = right, left ^ scramble(of_round ^ right) >> 64 - half
            value = left << half | right
            if value < count:
                break
        records.append(value)
    return records


def batches(seed, count, size, last, steps):
    """Of each of so many steps the (epoch, record) that it takes."""
    epochs = [[(epoch, record) for record in order(seed, count, epoch)] for epoch in range(steps)]
    if last == "carry":
        epochs = [sum(epochs, [])]
    parts = [epoch[i:i + size] for epoch in epochs for i in range(0, len(epoch), size)]
    return [part for part in parts if len(part) == size or last == "short"][:steps]


def window(seed, side, crop, epoch, record):
    """Where the crop of a record of side pixels lies, x and y, and whether it is mirrored."""
    rng, mirrored = Rng(seed, CROP, epoch, record), Rng(seed, FLIP, epoch, record).u32() >= 2**31
    return rng.below(side - crop + 1), rng.below(side - crop + 1), mirrored


def stretch(side, width, centre):
    return slice(max(centre - width // 2, 0), min(centre + width - width // 2, side))


def mix(seed, side, options, epoch, record):
    """Of a crop of side pixels the share that is the image's own, and the box of CutMix: rows and columns, or None."""
    mixup, cutmix = options.get("mixup", 0), options.get("cutmix", 0)
    if mixup and cutmix:
        cut = Rng(seed, MIX, epoch, record).u32() >= 2**31
    else:
        cut = cutmix > 0
    if not cut:
        return Rng(seed, MIXUP, epoch, record).beta(mixup) if mixup else 1, None
    rng = Rng(seed, CUTMIX, epoch, record)
    width = round(math.sqrt(1 - rng.beta(cutmix)) * side)
    columns, rows = stretch(side, width, rng.below(side)), stretch(side, width, rng.below(side))
    return 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / side**2, (rows, columns)
