# Part of Inkstone. Licence: see LICENSE.
"""Makes the files in imaging/ that the tests of Imaging read.

Needs Python 3.11, numpy and Pillow (made with numpy 2.4.6 and Pillow 13.0.0):

    python make_imaging_fixtures.py

Every picture is drawn from a fixed seed. expected.json holds, for each file, what another
decoder (Pillow) sees in it, and the results of Pillow's resize and of numpy's PSNR and SSIM.
"""

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

FOLDER = Path(__file__).parent / "imaging"
EXPECTED = {"decode": [], "resize": [], "similarity": []}


def base64_of(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).decode()


def picture(width, height, seed):
    """Smooth waves, one hard edge and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = []
    for _ in range(3):
        fx, fy, phase = rng.uniform(0.05, 0.5), rng.uniform(0.05, 0.5), rng.uniform(0, 6)
        planes.append(128 + 90 * np.sin(fx * x + fy * y + phase))
    rgb = np.stack(planes, axis=-1)
    rgb[height // 3 : height // 2, width // 4 : width // 2] = rng.uniform(0, 255, 3)
    rgb += rng.normal(0, 6, rgb.shape)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def alpha_plane(width, height):
    y, x = np.mgrid[0:height, 0:width]
    return ((x * 37 + y * 11) % 256).astype(np.uint8)


def expect(name, rgb, alpha=None, tolerance=0, parameters=None):
    height, width = rgb.shape[:2]
    EXPECTED["decode"].append(
        {
            "file": name,
            "width": width,
            "height": height,
            "rgb": base64_of(rgb),
            "alpha": None if alpha is None else base64_of(alpha),
            "tolerance": tolerance,
            "parameters": parameters,
        }
    )


# PNG: written chunk by chunk, because Pillow writes few of the kinds that exist.


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack(rows, depth):
    """Packs samples, one row of numbers each, into filtered scanlines (filter 0)."""
    out = b""
    for row in rows:
        if depth == 16:
            line = b"".join(struct.pack(">H", int(value)) for value in row)
        elif depth == 8:
            line = bytes(int(value) for value in row)
        else:
            bits = "".join(format(int(value), f"0{depth}b") for value in row)
            bits += "0" * (-len(bits) % 8)
            line = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        out += b"\0" + line
    return out


def png(samples, depth, color, before=(), after=(), interlaced=False):
    """samples is [height, width, channels]."""
    height, width, channels = samples.shape
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
            (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
        ]
    raw = b""
    for x0, y0, dx, dy in passes:
        part = samples[y0::dy, x0::dx]
        if part.size:
            raw += pack(part.reshape(part.shape[0], -1), depth)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    body = chunk(b"IHDR", header)
    for kind, data in before:
        body += chunk(kind, data)
    body += chunk(b"IDAT", zlib.compress(raw, 9))
    for kind, data in after:
        body += chunk(kind, data)
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def save(name, data):
    (FOLDER / name).write_bytes(data)


def make_png():
    rng = np.random.default_rng(1)
    width, height = 13, 9
    rgb = picture(width, height, 2)
    alpha = alpha_plane(width, height)

    save("rgb8.png", png(rgb, 8, 2))
    expect("rgb8.png", rgb)
    save("interlaced.png", png(rgb, 8, 2, interlaced=True))
    expect("interlaced.png", rgb)
    save("rgba8.png", png(np.dstack([rgb, alpha]), 8, 6))
    expect("rgba8.png", rgb, alpha)
    save("gray-alpha8.png", png(np.dstack([rgb[..., 0], alpha]), 8, 4))
    expect("gray-alpha8.png", np.repeat(rgb[..., :1], 3, axis=2), alpha)

    wide = rng.integers(0, 65536, (height, width, 3))
    save("rgb16.png", png(wide, 16, 2))
    expect("rgb16.png", wide >> 8)
    wide_alpha = rng.integers(0, 65536, (height, width, 4))
    save("rgba16.png", png(wide_alpha, 16, 6))
    expect("rgba16.png", wide_alpha[..., :3] >> 8, wide_alpha[..., 3] >> 8)

    for depth in (1, 2, 4, 8, 16):
        gray = rng.integers(0, 1 << depth, (height, width, 1))
        shown = gray >> 8 if depth == 16 else gray * 255 // ((1 << depth) - 1)
        save(f"gray{depth}.png", png(gray, depth, 0))
        expect(f"gray{depth}.png", np.repeat(shown, 3, axis=2))

    palette = rng.integers(0, 256, (16, 3)).astype(np.uint8)
    index = rng.integers(0, 16, (height, width, 1))
    entries = [(b"PLTE", palette.tobytes())]
    save("palette4.png", png(index, 4, 3, before=entries))
    expect("palette4.png", palette[index[..., 0]])
    opacity = bytes([0, 85, 170])
    full = np.array(list(opacity) + [255] * 13, dtype=np.uint8)
    save("palette-alpha.png", png(index, 8, 3, before=[*entries, (b"tRNS", opacity)]))
    expect("palette-alpha.png", palette[index[..., 0]], full[index[..., 0]])
    key = struct.pack(">HHH", *(int(value) for value in rgb[2, 3]))
    save("color-key.png", png(rgb, 8, 2, before=[(b"tRNS", key)]))
    opaque = np.where((rgb == rgb[2, 3]).all(axis=-1), 0, 255)
    expect("color-key.png", rgb, opaque)

    for name in ("interlaced", "rgba8", "palette4", "palette-alpha", "gray-alpha8", "color-key"):
        mine = next(e for e in EXPECTED["decode"] if e["file"] == f"{name}.png")
        seen = np.array(Image.open(FOLDER / f"{name}.png").convert("RGBA"))
        assert base64_of(seen[..., :3]) == mine["rgb"], name
        assert mine["alpha"] in (None, base64_of(seen[..., 3])), name

    texts = {
        "text-latin1.png": "a café\nSteps: 8, Sampler: Euler, Seed: 7",
        "text-utf8.png": "墨水石 🖌\nSteps: 8, Sampler: Euler, Seed: 7",
    }
    for name, text in texts.items():
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", text)
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "PNG", pnginfo=info)
        save(name, buffer.getvalue())
        expect(name, rgb, parameters=text)
    text = "long " * 400
    save("text-compressed.png", png(rgb, 8, 2, before=[
        (b"zTXt", b"other\0\0" + zlib.compress(b"also long " * 50)),
        (b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress(text.encode())),
    ]))
    expect("text-compressed.png", rgb, parameters=text)
    save("text-after-pixels.png", png(rgb, 8, 2, after=[(b"tEXt", b"parameters\0late")]))
    expect("text-after-pixels.png", rgb, parameters="late")

    # Refused: sixteen megabytes of text in sixteen kilobytes, and pixels that are not there.
    bomb = zlib.compress(b"x" * (16 << 20), 9)
    save("bad-text-bomb.png", png(rgb, 8, 2, before=[(b"zTXt", b"parameters\0\0" + bomb)]))
    lie = png(rgb, 8, 2)
    header = struct.pack(">IIBBBBB", 7000, 7000, 8, 2, 0, 0, 0)
    save("bad-lying-size.png", lie[:8] + chunk(b"IHDR", header) + lie[8 + 25 :])
    save("bad-palette-missing.png", png(index, 8, 3))


def make_jpeg():
    rgb = picture(29, 19, 3)
    image = Image.fromarray(rgb)

    def write(name, source=image, tolerance=2, parameters=None, turned=None, **options):
        buffer = io.BytesIO()
        source.save(buffer, "JPEG", quality=88, **options)
        save(name, buffer.getvalue())
        seen = Image.open(io.BytesIO(buffer.getvalue()))
        shown = np.array(seen.convert("RGB")) if turned is None else turned(seen)
        expect(name, shown, tolerance=tolerance, parameters=parameters)

    write("baseline-444.jpg", subsampling=0)
    write("baseline-420.jpg", subsampling=2)
    write("progressive.jpg", progressive=True)
    write("gray.jpg", source=image.convert("L"))
    write("cmyk.jpg", source=image.convert("CMYK"))

    from PIL import ImageOps

    for number in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = number
        write(
            f"orientation-{number}.jpg",
            exif=exif,
            turned=lambda seen: np.array(ImageOps.exif_transpose(seen).convert("RGB")),
        )
    text = "墨水 ink\nSteps: 8, Sampler: Euler, Seed: 7"
    for order, start in (("big", b"MM\0*"), ("little", b"II*\0")):
        # The comment is big-endian in both, as programs that rewrite only the block leave it.
        comment = b"UNICODE\0" + text.encode("utf-16-be")
        end = ">" if order == "big" else "<"
        block = start + struct.pack(end + "I", 8)
        block += struct.pack(end + "HHHIII", 1, 0x8769, 4, 1, 26, 0)
        block += struct.pack(end + "HHHIII", 1, 0x9286, 7, len(comment), 44, 0) + comment
        write(f"comment-{order}.jpg", parameters=text, exif=b"Exif\0\0" + block)


def make_webp():
    rgb = picture(29, 19, 4)
    alpha = alpha_plane(29, 19)
    image = Image.fromarray(rgb)
    mixed = Image.fromarray(np.dstack([rgb, alpha]), "RGBA")

    def write(name, source, tolerance, **options):
        buffer = io.BytesIO()
        source.save(buffer, "WEBP", **options)
        save(name, buffer.getvalue())
        seen = np.array(Image.open(io.BytesIO(buffer.getvalue())).convert(source.mode))
        expect(name, seen[..., :3], seen[..., 3] if source.mode == "RGBA" else None, tolerance)

    write("lossy.webp", image, 2, quality=85)
    write("lossless.webp", image, 0, lossless=True)
    write("lossy-alpha.webp", mixed, 2, quality=85, exact=True)
    write("lossless-alpha.webp", mixed, 0, lossless=True, exact=True)
    buffer = io.BytesIO()
    frames = [Image.fromarray(picture(16, 16, seed)) for seed in (5, 6)]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], duration=50)
    save("bad-animation.webp", buffer.getvalue())


def make_resize():
    rgb = picture(37, 23, 7)
    save("resize.png", png(rgb, 8, 2))
    for size in ((20, 11), (64, 64), (37, 50), (100, 23), (5, 5), (1, 1), (36, 24), (3, 40)):
        scaled = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)
        EXPECTED["resize"].append(
            {"width": size[0], "height": size[1], "rgb": base64_of(np.array(scaled))}
        )


def ssim(first, second):
    """Wang et al. 2004 with the full two-dimensional window, the slow and plain way."""
    weights = np.array([0.299, 0.587, 0.114])
    x, y = first.astype(float) @ weights, second.astype(float) @ weights
    offset = np.arange(-5, 6)
    window = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            a, b = x[row : row + 11, column : column + 11], y[row : row + 11, column : column + 11]
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a = (window * (a - mean_a) ** 2).sum()
            var_b = (window * (b - mean_b) ** 2).sum()
            cov = (window * (a - mean_a) * (b - mean_b)).sum()
            values.append(
                (2 * mean_a * mean_b + c1) * (2 * cov + c2)
                / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
            )
    return float(np.mean(values))


def make_similarity():
    rng = np.random.default_rng(8)
    first = picture(48, 40, 9)
    save("similar-a.png", png(first, 8, 2))
    for name, noise in (("b", 4), ("c", 40)):
        second = np.clip(first + rng.normal(0, noise, first.shape), 0, 255).astype(np.uint8)
        save(f"similar-{name}.png", png(second, 8, 2))
        square = np.mean((first.astype(float) - second.astype(float)) ** 2)
        EXPECTED["similarity"].append(
            {
                "first": "similar-a.png",
                "second": f"similar-{name}.png",
                "psnr": float(10 * np.log10(255**2 / square)),
                "ssim": ssim(first, second),
            }
        )


FOLDER.mkdir(exist_ok=True)
make_png()
make_jpeg()
make_webp()
make_resize()
make_similarity()
(FOLDER / "expected.json").write_text(json.dumps(EXPECTED, indent=1, ensure_ascii=False) + "\n")
