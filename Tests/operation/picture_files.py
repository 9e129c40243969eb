#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""300 image files as people have them, against a running server: the right pixels, or a clear refusal.

    picture_files.py [--inkstone PROGRAM | --url http://127.0.0.1:9997] [--seed 1] [--keep FOLDER]

JPEG by libjpeg-turbo (Pillow), ffmpeg, guetzli and Java's ImageIO: grey, colour, CMYK, progressive, with restart markers, all
subsamplings, EXIF orientations, ICC profiles; PNG of every colour type and depth, interlaced, animated; WebP lossy, lossless,
with alpha, animated; broken files and other formats. Pixels come back through /controlnet/detect with the module `none`, and are
compared with Pillow's. Needs Pillow, numpy, and on Debian: apt-get install ffmpeg guetzli imagemagick default-jdk-headless.
"""

import argparse
import base64
import io
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import numpy
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from running_server import PROGRAM, RunningServer

JAVA = """
import java.io.*; import javax.imageio.*; import javax.imageio.stream.*; import java.awt.image.*;
public class Encode {
  public static void main(String[] a) throws Exception {
    for (int i = 0; i + 3 < a.length; i += 4) {
      BufferedImage image = ImageIO.read(new File(a[i]));
      ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
      ImageWriteParam param = writer.getDefaultWriteParam();
      param.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
      param.setCompressionQuality(Float.parseFloat(a[i + 2]));
      if (a[i + 3].equals("progressive")) param.setProgressiveMode(ImageWriteParam.MODE_DEFAULT);
      try (ImageOutputStream out = ImageIO.createImageOutputStream(new File(a[i + 1]))) {
        writer.setOutput(out); writer.write(null, new IIOImage(image, null, null), param);
      }
    }
  }
}
"""


class Pictures:
    """Makes the files: `files` has (group, name, bytes, is_broken)."""

    def __init__(self, seed, folder):
        self.random = random.Random(seed)
        self.noise = numpy.random.default_rng(seed)
        self.folder = folder
        self.files = []

    def add(self, group, name, data, is_broken=False):
        self.files.append((group, name, data, is_broken))

    def image(self, channels=3, low=9, high=200):
        """Waves, an edge and noise, in a size that is not a multiple of a block."""
        width, height = self.random.randint(low, high), self.random.randint(low, high)
        y, x = numpy.mgrid[0:height, 0:width]
        planes = []
        for channel in range(channels):
            wave = 120 + 90 * numpy.sin(x * (channel + 1) / 19 + channel) * numpy.cos(y / 23)
            wave = wave + 50 * ((x > width / 3) & (y > height / 2))
            planes.append(wave + self.noise.normal(0, 3, wave.shape))
        return numpy.stack(planes, -1).clip(0, 255).astype(numpy.uint8)

    def picture(self, mode="RGB", **size):
        channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4, "LA": 2}[mode]
        array = self.image(channels, **size)
        return Image.fromarray(array[..., 0] if mode == "L" else array, mode)

    @staticmethod
    def saved(image, kind, **options):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    @staticmethod
    def orientation(number):
        exif = Image.Exif()
        exif[0x0112] = number
        return exif

    # JPEG

    def turbo(self):
        for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
            for quality in (30, 75, 92, 100):
                for progressive in (False, True):
                    self.add("turbo", f"{subsampling} {quality} {progressive}", self.saved(
                        self.picture(), "JPEG", quality=quality, subsampling=subsampling,
                        progressive=progressive))
        for number in range(6):
            self.add("grey JPEG", f"grey {number}", self.saved(
                self.picture("L"), "JPEG", quality=60 + 7 * number, progressive=number % 2 == 1))
        for number in range(10):
            self.add("CMYK JPEG", f"CMYK {number}", self.saved(
                self.picture("CMYK"), "JPEG", quality=70 + 3 * number, progressive=number % 2 == 1))
        for number in range(1, 9):
            for kind in ("JPEG", "WEBP", "PNG"):
                self.add(f"orientation {kind}", f"{kind} {number}", self.saved(
                    self.picture(), kind, exif=self.orientation(number)))
        profiles = [ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()
                    for name in ("sRGB", "LAB")] + [self.noise.bytes(100_000)]
        for number, profile in enumerate(profiles):
            for kind in ("JPEG", "WEBP", "PNG"):
                self.add("ICC profile", f"{kind} {number}", self.saved(
                    self.picture(), kind, icc_profile=profile))
        for number in range(6):
            self.add("restart markers", f"{number}", self.saved(
                self.picture(), "JPEG", restart_marker_blocks=number + 1, quality=85))
        for number in range(4):
            self.add("JPEG comment", f"{number}", self.saved(
                self.picture(), "JPEG", comment=bytes([65 + number]) * 60_000, optimize=True))

    def run(self, *command, **options):
        subprocess.run(list(map(str, command)), check=True, capture_output=True, **options)

    def ffmpeg(self):
        for format in ("yuvj420p", "yuvj422p", "yuvj444p"):
            for quality in (2, 3, 5, 9, 15, 28):
                source, target = self.folder / "f.png", self.folder / "f.jpg"
                self.picture().save(source)
                self.run("ffmpeg", "-y", "-i", source, "-c:v", "mjpeg", "-q:v", quality,
                         "-pix_fmt", format, "-strict", "unofficial", target)
                self.add("ffmpeg", f"{format} {quality}", target.read_bytes())

    def guetzli(self):
        for number in range(12):
            source, target = self.folder / "g.png", self.folder / "g.jpg"
            self.picture(high=90, low=40).save(source)
            self.run("guetzli", "--quality", 84 + number, source, target)
            self.add("guetzli", f"{84 + number}", target.read_bytes())

    def java(self):
        program = self.folder / "Encode.java"
        program.write_text(JAVA)
        words, names = [], []
        for number in range(24):
            source, target = self.folder / f"j{number}.png", self.folder / f"j{number}.jpg"
            self.picture("L" if number % 6 == 5 else "RGB").save(source)
            mode = "progressive" if number % 2 else "baseline"
            words += [source, target, 0.2 + number / 30, mode]
            names.append((target, f"{number} {mode}"))
        self.run("java", "-Djava.awt.headless=true", program, *words)
        for target, name in names:
            self.add("ImageIO", name, target.read_bytes())

    # PNG and WebP

    def png(self):
        for number in range(4):
            grey = self.picture("L")
            self.add("PNG", f"1 bit {number}", self.saved(grey.convert("1"), "PNG"))
            self.add("PNG", f"grey {number}", self.saved(grey, "PNG"))
            self.add("PNG", f"grey and alpha {number}", self.saved(self.picture("LA"), "PNG"))
            self.add("PNG", f"RGB {number}", self.saved(
                self.picture(), "PNG", compress_level=3 * number))
            self.add("PNG", f"RGBA {number}", self.saved(self.picture("RGBA"), "PNG"))
            colours = 2 ** (2 * number + 2)
            palette = self.picture().quantize(min(colours, 256))
            self.add("palette PNG", f"{colours}", self.saved(palette, "PNG"))
            self.add("palette PNG", f"{colours} transparent", self.saved(
                palette, "PNG", transparency=number))
            wide = self.noise.integers(0, 65536, (23, 31 + number), numpy.uint16)
            self.add("16-bit PNG", f"grey {number}", self.saved(Image.fromarray(wide), "PNG"))
            source, target = self.folder / "w.png", self.folder / "w16.png"
            self.picture(("RGB", "RGBA")[number % 2]).save(source)
            self.run("ffmpeg", "-y", "-i", source, "-pix_fmt", ("rgb48be", "rgba64be")[number % 2],
                     target)
            self.add("16-bit PNG", f"colour {number}", target.read_bytes())
            self.run("convert", source, "-interlace", "PNG", self.folder / "i.png")
            self.add("interlaced PNG", f"{number}", (self.folder / "i.png").read_bytes())
            info = PngImagePlugin.PngInfo()
            info.add(b"gAMA", (45455 + 9000 * number).to_bytes(4, "big"))
            self.add("PNG gamma", f"{number}", self.saved(self.picture(), "PNG", pnginfo=info))

    def animations(self):
        for number in range(4):
            frames = [self.picture("RGB", low=40, high=40) for _ in range(3)]
            self.add("animated PNG", f"{number}", self.saved(
                frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100))
            self.add("animated WebP", f"{number}", self.saved(
                frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100))

    def webp(self):
        for mode in ("RGB", "RGBA"):
            for quality in (10, 50, 80, 95, 100):
                self.add("WebP", f"{mode} {quality}", self.saved(
                    self.picture(mode), "WEBP", quality=quality, method=quality // 20))
            for method in (0, 3, 6):
                self.add("WebP", f"{mode} lossless {method}", self.saved(
                    self.picture(mode), "WEBP", lossless=True, exact=True, method=method))

    # Broken files

    def broken(self, count):
        whole = [(group, data) for group, _, data, _ in self.files]
        others = [("GIF", self.saved(self.picture(), "GIF")), ("BMP", self.saved(self.picture(), "BMP")),
                  ("TIFF", self.saved(self.picture(), "TIFF")), ("empty", b""), ("text", b"no image" * 9),
                  ("SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>'), ("zeros", bytes(5000)),
                  ("AVIF", b"\0\0\0\x1cftypavif" + bytes(99)), ("HEIC", b"\0\0\0\x18ftypheic" + bytes(99)),
                  ("PDF", b"%PDF-1.7\n" + bytes(99)), ("JPEG XL", b"\xff\x0a" + bytes(99))]
        for name, data in others:
            self.add("other format", name, data, True)
        for number in range(count - len(others)):
            group, data = self.random.choice(whole)
            data = bytearray(data)
            way = ("cut", "flipped", "zeroed", "cut head")[number % 4]
            if way == "cut":
                data = data[:self.random.randrange(1, len(data))]
            elif way == "cut head":
                data = data[self.random.randrange(1, 40):]
            else:
                for _ in range(self.random.randint(1, 8)):
                    at = self.random.randrange(len(data))
                    data[at] = 0 if way == "zeroed" else data[at] ^ 1 << self.random.randrange(8)
            self.add("broken", f"{group} {way} {number}", bytes(data), True)


def expected(data):
    """The pixels that Pillow decodes, upright, over white, in 8 bits; None where it refuses."""
    try:
        image = Image.open(io.BytesIO(data))
        if image.format not in ("PNG", "JPEG", "WEBP"):
            return None
        image.load()
        image = ImageOps.exif_transpose(image)
    except Exception:  # Pillow raises many types for damaged files
        return None
    if image.mode.startswith("I"):
        return numpy.repeat((numpy.asarray(image).astype(numpy.uint32) >> 8)[..., None], 3, -1)
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return numpy.asarray(image.convert("RGB"))


def decoded(server, data):
    """Status, and the pixels or the error."""
    status, _, body = server("/controlnet/detect", {
        "controlnet_module": "none", "controlnet_images": [base64.b64encode(data).decode()]})
    answer = json.loads(body)
    if status != 200:
        return status, answer
    return 200, numpy.asarray(Image.open(io.BytesIO(base64.b64decode(answer["images"][0]))))


def is_clear(status, answer):
    """Whether a refusal says what was wrong and what to do: two sentences, about this field."""
    error = answer.get("error", {})
    return status in (400, 422) and error.get("code") == "invalid_image" and (
        error["message"].count(".") >= 2) and error.get("param") == "controlnet_images"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(PROGRAM))
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="folder for the files that failed")
    arguments = parser.parse_args()
    missing = [name for name in ("ffmpeg", "guetzli", "java", "convert") if not shutil.which(name)]
    if missing:
        sys.exit(f"these programs are missing: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="inkstone-pictures-") as folder:
        pictures = Pictures(arguments.seed, pathlib.Path(folder))
        for make in ("turbo", "ffmpeg", "guetzli", "java", "png", "animations", "webp"):
            getattr(pictures, make)()
        pictures.broken(max(60, 300 - len(pictures.files)))
    if arguments.url:
        import urllib.error
        import urllib.request

        def ask(path, body):
            request = urllib.request.Request(
                arguments.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.headers, error.read()

        sys.exit(compare(pictures.files, ask, arguments.keep))
    with RunningServer(arguments.inkstone) as server:
        sys.exit(compare(pictures.files, server.ask, arguments.keep))


def compare(files, ask, keep):
    """Prints a line for each group and for each failure; returns the exit status."""
    groups, failures = {}, 0
    for index, (group, name, data, is_broken) in enumerate(files):
        counts = groups.setdefault(group, {"same": 0, "refused": 0, "failed": 0, "worst": 0})
        status, answer = decoded(ask, data)
        wanted, note = expected(data), ""
        if status != 200:
            # Animations and damaged files may be refused, whole files may not.
            may = is_broken or group == "animated WebP"
            is_right = may and is_clear(status, answer)
            note = f"{status} {json.dumps(answer)[:200]}"
            counts["refused"] += is_right
        elif wanted is None or wanted.shape != answer.shape:
            is_right, note = False, f"{answer.shape}, expected {getattr(wanted, 'shape', 'a refusal')}"
        else:
            worst = int(numpy.abs(wanted.astype(int) - answer.astype(int)).max())
            counts["worst"] = max(counts["worst"], worst)
            # Versions of the libraries and the rounding of alpha differ by a level or two.
            is_right, note = worst <= 2, f"differs by {worst}"
            counts["same"] += is_right
        if not is_right:
            counts["failed"] += 1
            failures += 1
            print(f"FAIL {group}: {name}: {note}", flush=True)
            if keep:
                pathlib.Path(keep).mkdir(exist_ok=True)
                (pathlib.Path(keep) / f"{index}").write_bytes(data)
    for group, counts in groups.items():
        print(f"{'FAIL' if counts['failed'] else 'ok  '} {group}: {counts['same']} right"
              f" (largest difference {counts['worst']}), {counts['refused']} refused clearly,"
              f" {counts['failed']} wrong")
    print(f"{len(files)} files, {failures} wrong")
    return 1 if failures else 0


if __name__ == "__main__":
    main()
