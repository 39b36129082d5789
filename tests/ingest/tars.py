"""Tars as people have them: odd paths, links, junk, every kind of damage; webdatasets with faults. Each from a file and, where
it makes sense, from standard input."""
import bz2
import io
import json
import lzma
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.dont_write_bytecode = True
from pictures import png

PROGRAM = os.path.join(os.environ["AN_BIN_DIR"], "an-ingest")


def member(name, data=b"", **fields):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for key, value in fields.items():
        setattr(entry, key, value)
    return entry, io.BytesIO(data)


def soft(name, target):
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def hard(name, target):
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def folder(name):
    return member(name, type=tarfile.DIRTYPE, mode=0o755)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="an-tars-")
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        self.made = 0

    def tar(self, *members, name="in.tar"):
        path = self.root / name
        with tarfile.open(path, "w") as tar:
            for entry, data in members:
                tar.addfile(entry, data)
        return path

    def run_on(self, source, *options, classes=None, stream=False):
        """Exit status, classes with their numbers of images, {path set aside: reason}, standard error."""
        self.made += 1
        out = self.root / f"out{self.made}"
        if classes:
            (self.root / "ids").write_text("".join(f"{c}\n" for c in classes))
            options = [*options, "--classes-from", self.root / "ids"]
        with open(source if stream else os.devnull, "rb") as stdin:
            result = subprocess.run([PROGRAM, "--quiet", "--size", "8", "--max-bad", "90%", *options, "-" if stream else source, out],
                                    stdin=stdin, capture_output=True, text=True, errors="surrogateescape")
        found = {}
        if result.returncode == 0:
            info = json.loads(subprocess.run([PROGRAM, "info", "--json", out], check=True, capture_output=True).stdout)
            found = {c["id"]: c["count"] for c in info["classes"]}
        listed = pathlib.Path(f"{out}.rejected.ndjson")
        aside = {}
        if listed.exists():
            aside = {line["path"]: line["reason"] for line in map(json.loads, listed.read_text().splitlines())}
        return result.returncode, found, aside, result.stderr

    def both(self, source, classes, *options):
        """The same from the file and from standard input, classes given."""
        one = self.run_on(source, *options, classes=classes)
        other = self.run_on(source, *options, classes=classes, stream=True)
        self.assertEqual(one[:3], other[:3], (one[3], other[3]))
        return one


class Paths(Case):
    def test_numeric_folders_are_names(self):
        tar = self.tar(*(member(f"{c}/{i}.png", png(10 * c + i)) for c in (2019, 2020, 3) for i in range(2)))
        for found in (self.run_on(tar), self.both(tar, ["2019", "2020", "3"])):
            self.assertEqual(found[:3], (0, {"2019": 2, "2020": 2, "3": 2}, {}))
        tar = self.tar(member("3/1.png", png(1)), member("1/2.png", png(2)))
        for stream in (False, True):
            self.assertRegex(self.run_on(tar, classes="abcd", stream=stream)[3], "class '[31]' is not among")
        tar = self.tar(member("a/1.png", png(1)), member("3/2.png", png(2)))
        for stream in (False, True):
            self.assertIn("class '3' is not among", self.run_on(tar, classes="abcd", stream=stream)[3])

    def test_odd_parts(self):
        names = ["dog//1.png", "./dog/2.png", "/dog/3.png", "../dog/4.png", "cat/./5.png", "cat/x/../6.png", "cat/x/7.png"]
        tar = self.tar(*(member(name, png(i)) for i, name in enumerate(names)))
        for found in (self.run_on(tar), self.both(tar, ["dog", "cat"])):
            self.assertEqual(found[:3], (0, {"dog": 4, "cat": 3}, {}))

    def test_a_top_folder_is_no_class(self):
        tar = self.tar(member("Data/README.txt", b"hello"), member("Data/show.png", png(0)), folder("Data/empty"),
                       *(member(f"Data/{c}/deep/{i}.png", png(i)) for i, c in enumerate(("ant", "bee"))))
        rc, found, aside, said = self.run_on(tar)
        self.assertEqual((rc, found), (0, {"ant": 1, "bee": 1, "empty": 0}))
        self.assertEqual(list(aside), ["Data/show.png"])
        self.assertIn("1 of 3 classes have no image: 'empty'", said)
        rc, found, aside, said = self.both(tar, ["ant", "bee", "empty"])
        self.assertEqual((rc, found, list(aside)), (0, {"ant": 1, "bee": 1, "empty": 0}, ["Data/show.png"]))
        self.assertIn("1 of 3 classes have no image: 'empty'", said)

    def test_one_class_alone(self):
        tar = self.tar(member("Data/ant/1.png", png(1)), member("Data/ant/2.png", png(2)))
        self.assertEqual(self.run_on(tar)[1], {"ant": 2})
        self.assertEqual(self.run_on(self.tar(member("ant/1.png", png(1))))[1], {"ant": 1})
        tar = self.tar(member("ant/1.png", png(1)), folder("ant/empty"))  # an empty folder does not make a top folder of it
        self.assertEqual(self.run_on(tar)[:3], (0, {"ant": 1}, {}))

    def test_a_tar_inside_is_a_class_and_never_a_top_folder(self):
        inner = self.tar(member("images/a/1.png", png(1)), member("images/b/2.png", png(2)), name="inner").read_bytes()
        tar = self.tar(member("n01.tar", inner))
        for found in (self.run_on(tar), self.both(tar, ["n01", "images"])):
            self.assertEqual(found[1]["n01"], 2)
        tar = self.tar(member("train/n01.tar", inner), member("train/n02.tar", inner))
        for found in (self.run_on(tar), self.both(tar, ["n01", "n02"])):
            self.assertEqual(found[:3], (0, {"n01": 2, "n02": 2}, {}))

    def test_junk_is_named_and_no_class(self):
        names = ["ant/1.png", "bee/2.png", "__MACOSX/ant/._1.png", "ant/@eaDir/1.png/thumb.png", "bee/.3.png", ".git/4.png"]
        tar = self.tar(*(member(name, png(i)) for i, name in enumerate(names)), folder("lost+found"),
                       member("packed/data.mdb", b"x"), member("packed/lock.mdb", b"x"))
        for found in (self.run_on(tar), self.both(tar, ["ant", "bee"])):
            self.assertEqual(found[:3], (0, {"ant": 1, "bee": 1}, {}))
            for text in ("'__MACOSX', 'lost+found', '@eaDir'", "a dataset of an-ingest, such as 'packed'",
                         "2 hidden images, such as 'bee/.3.png'"):
                self.assertIn(text, found[3])

    def test_a_path_that_comes_twice(self):
        tar = self.tar(member("ant/1.png", png(1)), member("bee/2.png", png(2)), member("./ant/1.png", png(3)))
        for found in (self.run_on(tar), self.both(tar, ["ant", "bee"])):
            self.assertEqual(found[:2], (0, {"ant": 1, "bee": 1}))
            self.assertRegex(found[2]["ant/1.png"], "came before")

    def test_strangers_in_a_stream(self):
        tar = self.tar(member("x/wolf/1.png", png(1)), member("x/ant/2.png", png(2)))
        for stream in (False, True):
            rc, _, _, said = self.run_on(tar, classes=["ant"], stream=stream)
            self.assertEqual(rc, 3)
            self.assertIn("class 'wolf' is not among the 1 given classes", said)

    def test_folders_with_one_class_too_many(self):
        for name, seed in (("in/Data/ant/1.png", 1), ("in/Data/bee/2.png", 2)):
            (self.root / name).parent.mkdir(parents=True)
            (self.root / name).write_bytes(png(seed))
        rc, found, _, said = self.run_on(self.root / "in")
        self.assertEqual((rc, found), (0, {"Data": 2}))
        self.assertIn("all images are of one class, 'Data'", said)

    def test_folders_that_go_in_circles(self):
        path = self.root / "in" / "ant"
        path.mkdir(parents=True)
        (path / "1.png").write_bytes(png(1))
        (path / "again").symlink_to(".")
        rc, _, _, said = self.run_on(self.root / "in")
        self.assertNotEqual(rc, 0)
        self.assertIn("ant/again' is nested too deeply", said)


class Links(Case):
    def members(self):
        return [soft("bee/forward.png", "../ant/1.png"), member("ant/1.png", png(1)), hard("bee/2.png", "ant/1.png"),
                soft("bee/chain.png", "forward.png"), soft("bee/hidden.png", "../.store/blob"), member(".store/blob", png(2)),
                soft("cat", "ant"), soft("bee/more", "../ant")]

    def test_links_are_what_they_point_to(self):
        self.assertEqual(self.run_on(self.tar(*self.members()))[:3], (0, {"ant": 1, "bee": 5, "cat": 1}, {}))

    def test_a_stream_lists_them(self):
        rc, found, aside, _ = self.run_on(self.tar(*self.members()), classes=["ant", "bee", "cat"], stream=True)
        self.assertEqual((rc, found), (0, {"ant": 1, "bee": 0, "cat": 0}))
        self.assertEqual(sorted(aside), ["bee/2.png", "bee/chain.png", "bee/forward.png", "bee/hidden.png", "bee/more", "cat"])
        self.assertTrue(all("give the tar as a file" in reason for reason in aside.values()))

    def test_links_that_lead_nowhere_are_listed(self):
        tar = self.tar(member("ant/1.png", png(1)), member("bee/1.png", png(2)), soft("bee/gone.png", "/data/1.png"),
                       hard("bee/lost.png", "none/1.png"), soft("bee/a.png", "b.png"), soft("bee/b.png", "a.png"), soft("cat", "/data/cat"))
        rc, found, aside, _ = self.run_on(tar)
        self.assertEqual((rc, found), (0, {"ant": 1, "bee": 1}))
        self.assertEqual(sorted(aside), ["bee/a.png", "bee/b.png", "bee/gone.png", "bee/lost.png", "cat"])
        self.assertIn("a symbolic link to '/data/1.png', which is not in the tar", aside["bee/gone.png"])
        self.assertIn("a hard link to 'none/1.png'", aside["bee/lost.png"])
        self.assertIn("circles", aside["bee/a.png"])

    def test_folders_in_circles(self):
        for links in ([soft("ant/again", ".")], [soft("ant/x", "../bee"), soft("bee/y", "../ant")], [soft("ant/up", "..")]):
            rc, _, _, said = self.run_on(self.tar(member("ant/1.png", png(1)), member("bee/1.png", png(2)), *links))
            self.assertNotEqual(rc, 0)
            self.assertIn("nested too deeply", said)

    def test_links_in_inner_tars(self):
        inner = self.tar(member("1.png", png(1)), hard("2.png", "1.png"), soft("3.png", "1.png"), name="inner").read_bytes()
        tar = self.tar(member("n01.tar", inner), member("n02.tar", inner))
        self.assertEqual(self.run_on(tar)[:3], (0, {"n01": 3, "n02": 3}, {}))


class Damage(Case):
    def images(self, *letters):
        return [member(f"{c}/{i}.png", png(ord(c) + i)) for c in letters for i in range(2)]

    def test_two_tars_in_one_file(self):
        one, two = self.tar(*self.images("a", "b"), name="1"), self.tar(*self.images("c"), name="2")
        both = self.root / "both.tar"
        both.write_bytes(one.read_bytes() + two.read_bytes())
        for found in (self.run_on(both), self.both(both, "abc")):
            self.assertEqual(found[:3], (0, {"a": 2, "b": 2, "c": 2}, {}))

    def test_other_bytes_behind_the_end(self):
        tar = self.tar(*self.images("a"))
        tar.write_bytes(tar.read_bytes() + b"?" * 5000)
        for stream in (False, True):
            rc, _, _, said = self.run_on(tar, classes="a", stream=stream)
            self.assertEqual(rc, 3)
            self.assertIn("is damaged or cut short", said)

    def test_without_its_end(self):
        tar = self.tar(*self.images("a", "b"))
        tar.write_bytes(tar.read_bytes()[:4 * 1024])
        for found in (self.run_on(tar), self.both(tar, "ab")):
            self.assertEqual(found[:3], (0, {"a": 2, "b": 2}, {}))
            self.assertIn("has no mark at its end: it may be cut short", found[3])
        whole = self.run_on(self.tar(*self.images("a", "b")))
        self.assertNotIn("cut short", whole[3])
        tar.write_bytes(tar.read_bytes()[:3 * 1024 + 530])
        for stream in (False, True):
            rc, _, _, said = self.run_on(tar, classes="ab", stream=stream)
            self.assertEqual(rc, 3)
            self.assertIn("cut short", said)

    def test_compressed(self):
        plain = self.tar(*self.images("a", "b"))
        for ending, pack in (("bz2", bz2.compress), ("xz", lzma.compress)):
            packed = self.root / f"in-{ending}"  # known by its contents
            packed.write_bytes(pack(plain.read_bytes()))
            rc, _, _, said = self.run_on(packed)
            self.assertNotEqual(rc, 0)
            self.assertIn("is a compressed tar: unpack it", said)
            self.assertEqual(self.run_on(packed, classes="ab", stream=True)[:3], (0, {"a": 2, "b": 2}, {}))

    def gnu(self, *options):
        path = self.root / "gnu.tar"
        subprocess.run(["tar", "-cf", path, "-C", self.root / "in", *options, "."], check=True)
        return path

    def test_what_gnu_tar_writes(self):
        for name, data in (("a/1.png", png(1)), ("b/1.png", png(2)), ("b/holes.png", png(3))):
            path = self.root / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        os.truncate(self.root / "in/b/holes.png", 1 << 20)
        os.mkfifo(self.root / "in/b/pipe")
        for options in (["--format=v7", "--exclude=pipe"], ["--label=some label"], ["--format=pax"]):
            for found in (self.run_on(self.gnu(*options)), self.both(self.root / "gnu.tar", "ab")):
                self.assertEqual(found[:2], (0, {"a": 1, "b": 2}), options)
                self.assertEqual(list(found[2].values()), [] if "v7" in options[0] else ["no regular file"])
        for style in ("gnu", "pax"):
            for found in (self.run_on(self.gnu("--sparse", f"--format={style}")), self.both(self.root / "gnu.tar", "ab")):
                self.assertEqual(found[:2], (0, {"a": 1, "b": 1}), style)
                self.assertIn("sparse", found[2]["b/holes.png"])


class Webdataset(Case):
    def sample(self, key, label, seed, ending="jpg"):
        return [member(f"{key}.{ending}", png(seed)), member(f"{key}.cls", b"%d" % label)]

    def test_in_a_folder(self):
        tar = self.tar(*(m for i in range(3) for m in self.sample(f"train/{i}", i, i)))
        self.assertEqual(self.both(tar, "abc")[:3], (0, {"a": 1, "b": 1, "c": 1}, {}))
        self.assertEqual(self.both(tar, ["a", "b", "train"])[:3], (0, {"a": 1, "b": 1, "train": 1}, {}))

    def test_endings(self):
        tar = self.tar(*(m for i, e in enumerate(("jpg", "jfif", "img.jpg", "JPE")) for m in self.sample(i, i, i, e)),
                       member("5.left.png", png(5)), member("5.right.png", png(6)), member("5.cls", b"0"),
                       member("6.png", png(7)), member("6.seg.png", png(8)), member("6.cls", b"0"), member("6.webp", png(9)),
                       member("7.bin", b"?"), member("7.cls", b"1"))
        rc, found, aside, said = self.both(tar, "abcd")
        self.assertEqual((rc, found), (0, {"a": 2, "b": 1, "c": 1, "d": 1}))
        self.assertEqual(sorted(aside), ["5.left.png", "6.webp", "7.cls"])
        self.assertIn("2 further images of webdataset samples, such as '5.right.png'", said)

    def test_a_key_twice(self):
        for order in ([0, 0, 1], [0, 1, 0]):
            tar = self.tar(*(m for i, key in enumerate(order) for m in self.sample(key, key, i)))
            rc, found, aside, _ = self.both(tar, "ab")
            self.assertEqual((rc, found), (0, {"a": 1, "b": 1}))
            self.assertRegex(aside["0.jpg"], "its key came before")

    def test_members_apart(self):
        good = [m for i in range(9) for m in self.sample(f"g{i}", 0, i)]
        tar = self.tar(*good, *(member(f"{i}.jpg", png(i)) for i in range(3)), *(member(f"{i}.cls", b"0") for i in range(3)))
        rc, found, aside, said = self.both(tar, "a")
        self.assertEqual((rc, found), (0, {"a": 9}))
        self.assertEqual(sorted(aside), [f"{i}.{e}" for i in range(3) for e in ("cls", "jpg")])
        self.assertTrue(all("tar --sort=name" in reason for reason in aside.values()))
        self.assertIn("set aside: 6 members of a webdataset", said)

    def test_only_members_apart(self):
        tar = self.tar(*(member(f"{i}.jpg", png(i)) for i in range(3)), *(member(f"{i}.cls", b"0") for i in range(3)))
        for stream in (False, True):
            rc, _, aside, said = self.run_on(tar, classes="a", stream=stream)
            self.assertEqual(rc, 3)
            self.assertIn("tar --sort=name", said)

    def test_without_a_class(self):
        good = [m for i in range(9) for m in self.sample(f"g{i}", 0, i)]
        tar = self.tar(member("first.jpg", png(1)), *good, member("none.jpg", png(2)), member("e.jpg", png(3)), member("e.cls", b" \n"),
                       member("l.jpg", png(4)), member("l.cls", bytes(64)))
        rc, found, aside, _ = self.both(tar, "a")
        self.assertEqual((rc, found), (0, {"a": 9}))
        self.assertEqual(sorted(aside), ["e.jpg", "first.jpg", "l.jpg", "none.jpg"])
        self.assertIn("empty", aside["e.jpg"])
        self.assertIn("too large", aside["l.jpg"])
        self.assertEqual(self.run_on(tar, "--max-bad", "3", classes="a")[0], 3)

    def test_what_a_cls_may_hold(self):
        """A line, which may hold blanks; not several lines, and no binary numbers."""
        texts = {"a": b"great owl", "b": b"\xef\xbb\xbf great shark \r\n\n", "c": b"great owl\ngreat shark\n", "d": b"\x05\0\0\0",
                 "e": "great owl".encode("utf-16"), "f": b"great owl\n", "g": b"\xef\xbb\xbf"}
        tar = self.tar(*(m for i, (key, text) in enumerate(texts.items()) for m in (member(f"{key}.png", png(i)), member(f"{key}.cls", text))))
        rc, found, aside, _ = self.both(tar, ["great owl", "great shark"])
        self.assertEqual((rc, found), (0, {"great owl": 2, "great shark": 1}))
        self.assertEqual(sorted(aside), ["c.png", "d.png", "e.png", "g.png"])
        self.assertIn("several lines", aside["c.png"])
        self.assertIn("no text", aside["d.png"])
        self.assertIn("no text", aside["e.png"])
        self.assertIn("empty", aside["g.png"])

    def test_a_mixture_is_refused_in_a_stream(self):
        tar = self.tar(member("a/1.png", png(1)), member("a/2.png", png(2)), *self.sample("3", 0, 3))
        rc, _, _, said = self.run_on(tar, classes="a", stream=True)
        self.assertEqual(rc, 3)
        self.assertIn("give the tar as a file", said)
        self.assertEqual(sorted(self.run_on(tar, classes="a")[2]), ["a/1.png", "a/2.png"])


if __name__ == "__main__":
    unittest.main()
