# Part of Inkstone. Licence: see LICENSE.
"""What a picture of a natural prompt shows, whatever its layout.

First the background: the plain colour or drawn place that most pixels are near to. Then, for every
layout, the nearest of all names (and of the mark for unknown words) in each of its places, on that
background; the layout whose whole picture is nearest counts. Distances are squared errors of pixels.
The rows of `natural_prompts.jsonl` say what has to be there.
"""

import collections
import functools

import numpy as np
import torch

from . import evaluation, places, world

BACKGROUNDS = list(world.BACKGROUNDS) + places.keys()
# Squared error of a pixel, of 0...1 channels summed, from which on it counts as covered by a thing.
COVERED = 0.05


@functools.cache
def backdrops(side):
    """`[backgrounds, 3, side, side]` in 0...1."""
    pictures = [np.broadcast_to(np.asarray(world.backdrop(name, side), np.uint8), (side, side, 3))
                for name in BACKGROUNDS]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


@functools.cache
def sprites(size):
    """Every name and, last, the mark, as rows: premultiplied colours p, alpha a, p a, a squared, and the
    sum of p squared."""
    stack = np.stack([world.sprite(world.emoji_of(i), size) for i in range(len(world.things()) + 1)])
    stack = torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 255
    colours, alpha = stack[:, :3], stack[:, 3:]
    product = (colours * alpha).flatten(1)
    return (colours.flatten(1), alpha.flatten(1), product, alpha.square().flatten(1),
            colours.square().sum((1, 2, 3)))


def nearest(picture, back, where):
    """For places of one size, `{place: (squared error, index)}` of the name nearest to each.

    Of b (1 - a) + p - c, with the background b and the picture c, only products of a name's row and a
    place's column depend on both, so that the squares of all names at all places are four matrix products.
    """
    colours, alpha, product, squared, norms = sprites(where[0][0])
    cut = lambda x: torch.stack([x[..., y:y + size, left:left + size] for size, left, y in where])
    behind, gap = cut(back), cut(back - picture)
    errors = (norms[:, None] + gap.square().sum((1, 2, 3))
              + 2 * colours @ gap.flatten(1).T - 2 * alpha @ (gap * behind).sum(1).flatten(1).T
              - 2 * product @ behind.flatten(1).T + squared @ behind.square().sum(1).flatten(1).T)
    return {place: (errors[:, i].min().item(), errors[:, i].argmin().item()) for i, place in enumerate(where)}


def read(pixels):
    """`(emoji of all things shown, name of the background)` of a uint8 picture."""
    picture = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 255
    side = picture.shape[-1]
    errors = (backdrops(side) - picture).square().sum(1)
    background = errors.clamp(max=COVERED).mean((1, 2)).argmin().item()
    back, bare = backdrops(side)[background], errors[background]
    where = sorted({place for layout in world.LAYOUTS.values() for place in layout[side]})
    found = {}
    for size in {place[0] for place in where}:
        found |= nearest(picture, back, [place for place in where if place[0] == size])

    def whole(layout):
        rest = sum(found[place][0] - bare[y:y + size, x:x + size].sum().item()
                   for place in world.LAYOUTS[layout][side] for size, x, y in [place])
        return bare.sum().item() + rest

    layout = min(world.LAYOUTS, key=whole)
    shown = [world.emoji_of(found[place][1]) for place in world.LAYOUTS[layout][side]]
    return shown, BACKGROUNDS[background]


def right_background(row, background):
    """Whether what the prompt says of colour, place and hour holds; nothing if it says none of it."""
    if not (row["background"] or row["place"] or row["time"]):
        return None
    if row["background"]:
        return background == row["background"]
    ground, time = places.split(background) if background not in world.BACKGROUNDS else (None, None)
    return row["place"] in (None, ground) and row["time"] in (None, time)


def judge(pixels, row):
    """Booleans, or nothing where the prompt does not ask for it."""
    shown, background = read(pixels)
    counts = collections.Counter(shown)
    of = [sum(counts[emoji] for emoji in thing["any"]) for thing in row["things"]]
    asked = [thing["count"] for thing in row["things"]]
    marked = world.UNKNOWN in counts
    return {
        "every thing": all(of) if of else None,
        "at least one": any(of) if of else None,
        "counts": of == asked if max(asked, default=0) > 1 else None,
        "background": right_background(row, background),
        "? where something is known": None if row["unknown"] else marked,
        "? where nothing is known": marked if row["unknown"] else None,
        "shown": shown, "seen background": background}


MEASURES = ("every thing", "at least one", "counts", "background", "? where something is known",
            "? where nothing is known")


def table(rows, judged):
    """Shares by measure, for each language and each kind of prompt."""
    result = {}
    kinds = ["both", "en", "zh", *dict.fromkeys(row["kind"] for row in rows)]
    for kind in kinds:
        chosen = [j for row, j in zip(rows, judged) if kind in ("both", row["language"], row["kind"])]
        result[kind] = {measure: evaluation.share([j[measure] for j in chosen]) for measure in MEASURES}
    return result


def print_table(title, result):
    print(title)
    for kind, shares in result.items():
        if kind in ("both", "en", "zh"):
            print(f"  {kind}")
            for measure, value in shares.items():
                print(f"    {measure:28} {evaluation.text(value)}")
        else:
            cells = [f"{measure} {100 * shares[measure]['share']:.0f} %" for measure in MEASURES[:4]
                     if shares[measure]["count"]]
            print(f"  {kind:12} {', '.join(cells)}")
