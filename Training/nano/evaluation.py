# Part of Inkstone. Licence: see LICENSE.
"""How often the model draws what it was asked for.

Each thing's place is cut out of the picture and compared with the true render of every trained name at
that place and size, on the background that the picture's border shows. The nearest one has to be the
one asked for. Two distances: mean squared error of pixels, and one minus structural similarity
(SSIM, windows of 8 pixels on a grid of 4). The same test on true renders that passed through the
autoencoder gives the ceiling.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from . import world

COLOURS = list(world.BACKGROUNDS)
PALETTE = np.array([world.BACKGROUNDS[c][1] for c in COLOURS], np.float32)
BORDER = 3


def background_of(picture):
    """Median colour of the border outside of things, and the nearest named colour's index."""
    pixels = picture.astype(np.float32)
    border = np.concatenate([pixels[:BORDER].reshape(-1, 3), pixels[-BORDER:].reshape(-1, 3),
                             pixels[:, :BORDER].reshape(-1, 3), pixels[:, -BORDER:].reshape(-1, 3)])
    # Things may reach the border: the colour that most of it is near to.
    nearest = ((border[:, None] - PALETTE) ** 2).sum(-1).argmin(1)
    index = np.bincount(nearest, minlength=len(COLOURS)).argmax()
    return np.median(border[nearest == index], axis=0), int(index)


_sprites = {}


def renders(size, colour):
    """Every trained name at a size on a colour, `[names, 3, size, size]` in 0...1."""
    if size not in _sprites:
        stack = np.stack([world.sprite(t.emoji, size) for t in world.things()]).astype(np.float32) / 255
        _sprites[size] = torch.from_numpy(stack).permute(0, 3, 1, 2)
    sprites = _sprites[size]
    back = torch.tensor(colour, dtype=torch.float32).view(1, 3, 1, 1) / 255
    return back * (1 - sprites[:, 3:]) + sprites[:, :3]


def ssim(a, b):
    """`[1, 3, s, s]` against `[n, 3, s, s]`: mean structural similarity of each, in 0...1 ranges."""
    pool = lambda x: F.avg_pool2d(x, 8, 4)
    ma, mb = pool(a), pool(b)
    va, vb = pool(a * a) - ma * ma, pool(b * b) - mb * mb
    covariance = pool(a * b) - ma * mb
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    value = (2 * ma * mb + c1) * (2 * covariance + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
    return value.mean((1, 2, 3))


def nearest_names(crop, colour):
    """Index of the nearest name by pixels and by structure."""
    x = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].float() / 255
    all_renders = renders(crop.shape[0], colour)
    return ((all_renders - x) ** 2).mean((1, 2, 3)).argmin().item(), ssim(x, all_renders).argmax().item()


def judge(picture, row):
    """What one picture of one prompt shows: booleans for things and background."""
    colour, index = background_of(picture)
    side = picture.shape[0]
    layout = "one" if row["layout"] == "unknown" else row["layout"]
    right = {"pixels": [], "structure": []}
    for emoji, (size, x, y) in zip(row["things"], world.LAYOUTS[layout][side]):
        by_pixels, by_structure = nearest_names(picture[y:y + size, x:x + size], colour)
        right["pixels"].append(emoji == world.things()[by_pixels].emoji)
        right["structure"].append(emoji == world.things()[by_structure].emoji)
    background = None if row["background"] is None else COLOURS[index] == row["background"]
    return right | {"background": background}


def is_question_mark(picture):
    """Whether the mark that stands for unknown words is nearer, by pixels, than every name."""
    side = picture.shape[0]
    size, x, y = world.LAYOUTS["one"][side][0]
    crop, (colour, _) = picture[y:y + size, x:x + size].astype(np.float32) / 255, background_of(picture)
    mark = world.compose(size, colour, [(world.UNKNOWN, size, 0, 0)]).astype(np.float32) / 255
    others = renders(size, colour) - torch.from_numpy(crop).permute(2, 0, 1)[None]
    return ((mark - crop) ** 2).mean() < others.square().mean((1, 2, 3)).min().item()


def interval(successes, total):
    """Wilson's 95 % interval of a share."""
    if total == 0:
        return 0.0, 0.0, 0.0
    z, p = 1.959964, successes / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return p, middle - half, middle + half


def share(values):
    values = [v for v in values if v is not None]
    p, low, high = interval(sum(values), len(values))
    return {"share": p, "low": low, "high": high, "count": len(values)}


def table(rows, judged):
    """Shares by layout and language, of things and of backgrounds."""
    result = {}
    for layout in ("one", "small", "beside", "above", "three"):
        for language in ("en", "zh", "both"):
            chosen = [j for r, j in zip(rows, judged)
                      if r["layout"] == layout and language in (r["language"], "both")]
            if chosen:
                result[f"{layout}/{language}"] = {
                    key: share([v for j in chosen for v in j[key]]) for key in ("pixels", "structure")}
    known = [(r, j) for r, j in zip(rows, judged) if r["layout"] != "unknown"]
    for language in ("en", "zh", "both"):
        result[f"background/{language}"] = share(
            [j["background"] for r, j in known if language in (r["language"], "both")])
    return result


def print_table(title, result):
    print(title)
    print(f"  {'':12} {'pixels':>26} {'structure':>26}")
    for key, value in result.items():
        if "pixels" in value:
            cells = "".join(f" {text(value[k]):>26}" for k in ("pixels", "structure"))
        else:
            cells = f" {text(value):>26}"
        print(f"  {key:12}{cells}")


def text(value):
    return (f"{100 * value['share']:.1f} % ({100 * value['low']:.1f}-{100 * value['high']:.1f}) "
            f"of {value['count']}")
