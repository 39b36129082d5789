"""an-ingest against Pillow: the same pictures, resized by both, must agree to within one grey level on average.
Everything is stored as rgb and exported as PNG, so that no compression comes between."""
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

try:
    from PIL import Image, ImageChops, ImageDraw, ImageStat
except ImportError:
    sys.exit(77)

SIDE = 64
FILTERS = {"triangle": Image.Resampling.BILINEAR, "lanczos3": Image.Resampling.LANCZOS, "box": Image.Resampling.BOX}


def picture(width, height, seed):
    """Shapes with edges, gradients and noise: what resampling filters differ on."""
    rng = random.Random(seed)
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = rng.randrange(width), rng.randrange(height)
        colour = tuple(rng.randrange(256) for _ in range(3))
        draw.ellipse((x, y, x + rng.randrange(1, width // 3 + 2), y + rng.randrange(1, height // 3 + 2)), fill=colour)
    noise = Image.effect_noise((width, height), 40).convert("RGB")
    return Image.blend(image, noise, 0.2)


def reference(image, resampling):
    """The centre square of the shorter side, resized as Pillow does it."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    image = image.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((SIDE, SIDE), resampling, box=(left, top, left + side, top + side))


def difference(left, right):
    return sum(ImageStat.Stat(ImageChops.difference(left, right)).mean) / 3


class Pillow(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="an-pillow-")
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        (self.root / "in" / "c").mkdir(parents=True)

    def path(self, name):
        return self.root / "in" / "c" / name

    def compare(self, files, filter_name="triangle", draft=False):
        out, back = self.root / f"{filter_name}.data", self.root / f"{filter_name}.back"
        program = os.path.join(os.environ["AN_BIN_DIR"], "an-ingest")
        subprocess.run([program, "--quiet", "--order", "source", "--codec", "rgb", "--size", str(SIDE), "--filter",
                        filter_name, "--max-bad", "0", self.root / "in", out], check=True)
        subprocess.run([program, "export", "--quiet", out, back], check=True)
        for index, path in enumerate(sorted(files)):
            with Image.open(path) as image, Image.open(back / "c" / f"{index:08}.png") as ours:
                if draft:
                    image.draft("RGB", (SIDE, SIDE))
                mean = difference(ours.convert("RGB"), reference(image, FILTERS[filter_name]))
                self.assertLessEqual(mean, 1.0, f"{path.name} by {filter_name}")

    def test_sizes_and_filters(self):
        files = []
        for number, size in enumerate([(500, 375), (375, 500), (65, 64), (64, 900), (50, 40), (20, 300), (64, 64),
                                       (127, 127), (1000, 700)]):
            files.append(self.path(f"{number}.png"))
            picture(*size, number).save(files[-1])
        for name in FILTERS:
            self.compare(files, name)

    def test_png_kinds(self):
        whole = picture(200, 150, 1)
        alpha = Image.linear_gradient("L").resize(whole.size)
        rgba = whole.copy()
        rgba.putalpha(alpha)
        grey_alpha = whole.convert("LA")
        grey_alpha.putalpha(alpha)
        palette = whole.quantize(40)
        kinds = {"rgb": whole, "grey": whole.convert("L"), "rgba": rgba, "la": grey_alpha, "palette": palette,
                 "bit": whole.convert("1")}
        for name, image in kinds.items():
            image.save(self.path(f"{name}.png"))
        palette.save(self.path("transparent.png"), transparency=3)
        deep = whole.convert("L").convert("I").point(lambda v: v * 257).convert("I;16")
        deep.save(self.path("sixteen.png"))
        files = [p for p in self.path("").iterdir() if p.name != "sixteen.png"]
        # Pillow cuts 16-bit grey off at 255 when it converts: compare that one with what it was made from.
        whole.convert("L").save(self.root / "sixteen.png")
        files.append(self.path("sixteen.png"))
        out = sorted(files)
        self.path("sixteen.png").rename(self.root / "real.png")
        os.symlink(self.root / "real.png", self.path("sixteen.png"))
        real = Image.open
        try:
            Image.open = lambda p: real(self.root / "sixteen.png" if pathlib.Path(p).name == "sixteen.png" else p)
            self.compare(out)
        finally:
            Image.open = real

    def test_jpeg_kinds(self):
        whole = picture(120, 100, 2)  # under twice the side: decoded at full size by both
        whole.save(self.path("420.jpg"), quality=92)
        whole.save(self.path("444.jpg"), quality=92, subsampling=0)
        whole.save(self.path("progressive.jpg"), quality=92, progressive=True)
        whole.convert("L").save(self.path("grey.jpg"), quality=92)
        whole.convert("CMYK").save(self.path("cmyk.jpg"), quality=92)
        adobe = self.path("cmyk.jpg").read_bytes()
        at = adobe.index(b"\xff\xee\x00\x0eAdobe")
        self.path("cmyk-bare.jpg").write_bytes(adobe[:at] + adobe[at + 16:])  # without Adobe's marker
        self.path("ycck.jpg").write_bytes(adobe[:at + 15] + b"\2" + adobe[at + 16:])  # other colours, for both
        self.compare(list(self.path("").iterdir()))

    def test_large_jpegs_are_decoded_scaled(self):
        """Large JPEGs are decoded at 1/2, 1/4 or 1/8, as Pillow does after draft()."""
        for number, size in enumerate([(300, 260), (800, 600), (1300, 900)]):
            picture(*size, number).save(self.path(f"{number}.jpg"), quality=92)
        self.compare(list(self.path("").iterdir()), draft=True)


if __name__ == "__main__":
    unittest.main()
