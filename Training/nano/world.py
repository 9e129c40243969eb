# Part of Inkstone. Licence: see LICENSE.
"""The world that the embedded model draws: things, backgrounds, places, and pictures of them.

A scene is one to three sprites of Noto Color Emoji on a plain background. Sprites sit on the grid of
transformer tokens (16 pixels), so that the same thing at the same size always gives nearly the same
tokens: a model this small has to learn its sprites by heart, and each placement off the grid would be
one more sprite to learn.
"""

import dataclasses
import functools
import io
import json
import pathlib
import random

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
FONT = pathlib.Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
CLDR = pathlib.Path("/usr/share/unicode/cldr/common/annotations")

# English name: Chinese name, colour.
BACKGROUNDS = {
    "red": ("红色", (214, 48, 49)), "blue": ("蓝色", (52, 101, 214)),
    "green": ("绿色", (46, 160, 67)), "yellow": ("黄色", (250, 214, 60)),
    "orange": ("橙色", (240, 140, 40)), "purple": ("紫色", (130, 70, 190)),
    "pink": ("粉色", (246, 160, 196)), "white": ("白色", (250, 250, 250)),
    "black": ("黑色", (20, 20, 22)), "gray": ("灰色", (140, 144, 150)),
    "brown": ("棕色", (122, 78, 46)), "light blue": ("浅蓝色", (160, 210, 246)),
    "dark blue": ("深蓝色", (20, 34, 90)), "teal": ("青色", (30, 160, 160)),
    "beige": ("米色", (240, 226, 196)), "light green": ("浅绿色", (176, 230, 160)),
}

# Layout: canvas side -> for each thing (side of the sprite, left, top).
LAYOUTS = {
    "one": {128: [(96, 16, 16)], 192: [(128, 32, 32)]},
    "small": {128: [(64, 32, 32)], 192: [(96, 48, 48)]},
    "beside": {128: [(64, 0, 32), (64, 64, 32)], 192: [(96, 0, 48), (96, 96, 48)]},
    "above": {128: [(64, 32, 0), (64, 32, 64)], 192: [(96, 48, 0), (96, 48, 96)]},
    "three": {128: [(64, 32, 0), (64, 0, 64), (64, 64, 64)],
              192: [(96, 48, 0), (96, 0, 96), (96, 96, 96)]},
}
SIDES = (128, 192)
# What a word outside the vocabulary is drawn as.
UNKNOWN = "❓"


@dataclasses.dataclass(frozen=True)
class Thing:
    emoji: str
    en: tuple
    zh: tuple


@dataclasses.dataclass(frozen=True)
class Scene:
    layout: str
    things: tuple  # indices into `things()`; `unknown_index()` for a word that the model does not know
    background: str
    side: int

    @property
    def places(self):
        return LAYOUTS[self.layout][self.side]


@functools.cache
def things():
    """The trained names, in the order of `names.json`; synonyms follow the first name."""
    rows = json.loads((ROOT / "names.json").read_text(encoding="utf-8"))
    return [Thing(row["emoji"], tuple(row["en"]), tuple(row["zh"])) for row in rows]


def unknown_index():
    return len(things())


@functools.cache
def _font():
    font = TTFont(FONT, lazy=True)
    return font.getBestCmap(), font["CBDT"].strikeData[0]


def has_sprite(emoji):
    cmap, strikes = _font()
    return len(emoji) == 1 and ord(emoji) in cmap and cmap[ord(emoji)] in strikes


@functools.cache
def sprite(emoji, side):
    """`[side, side, 4]` uint8 with premultiplied alpha."""
    cmap, strikes = _font()
    image = Image.open(io.BytesIO(strikes[cmap[ord(emoji)]].imageData)).convert("RGBA")
    square = Image.new("RGBA", (136, 136), (0, 0, 0, 0))
    square.paste(image, (0, (136 - image.height) // 2))
    return np.asarray(square.convert("RGBa").resize((side, side), Image.LANCZOS))


def compose(side, background, placed):
    """`[side, side, 3]` uint8: sprites `(emoji, side, left, top)` over a colour; may hang over edges."""
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = background
    for emoji, size, left, top in placed:
        pixels = sprite(emoji, size).astype(np.float32)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + size, side), min(top + size, side)
        if x1 <= x0 or y1 <= y0:
            continue
        pixels = pixels[y0 - top:y1 - top, x0 - left:x1 - left]
        region = canvas[y0:y1, x0:x1]
        canvas[y0:y1, x0:x1] = region * (1 - pixels[..., 3:] / 255) + pixels[..., :3]
    return canvas.clip(0, 255).round().astype(np.uint8)


def emoji_of(index):
    return UNKNOWN if index == unknown_index() else things()[index].emoji


def render(scene):
    placed = [(emoji_of(t), *place) for t, place in zip(scene.things, scene.places)]
    return compose(scene.side, BACKGROUNDS[scene.background][1], placed)


LAYOUT_SHARES = {"one": 0.36, "small": 0.06, "beside": 0.2, "above": 0.14, "three": 0.24}
WHITE_SHARE = 0.2
UNKNOWN_SHARE = 0.04


def random_scene(rng: random.Random, side, singles=LAYOUT_SHARES["one"]):
    """`singles`: share of scenes with one thing of normal size; the other layouts keep their proportions."""
    shares = LAYOUT_SHARES | {"one": singles / (1 - singles) * (1 - LAYOUT_SHARES["one"])}
    layout = rng.choices(list(shares), list(shares.values()))[0]
    background = "white" if rng.random() < WHITE_SHARE else rng.choice(list(BACKGROUNDS))
    count = len(LAYOUTS[layout][side])
    if layout == "one" and rng.random() < UNKNOWN_SHARE / singles:
        chosen = (unknown_index(),)
    else:
        chosen = tuple(rng.sample(range(len(things())), count))
    return Scene(layout, chosen, background, side)
