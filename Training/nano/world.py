# Part of Inkstone. Licence: see LICENSE.
"""The world that the embedded model draws: things, backgrounds, places, and pictures of them.

A scene is up to four sprites of Noto Color Emoji on a plain colour or in a drawn place. Sprites sit on
the grid of transformer tokens (16 pixels), so that the same thing at the same size always gives nearly
the same tokens: a model this small has to learn its sprites by heart, and each placement off the grid
would be one more sprite to learn.
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

from . import places

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
    "empty": {128: [], 192: []},
    "one": {128: [(96, 16, 16)], 192: [(128, 32, 32)]},
    "small": {128: [(64, 32, 32)], 192: [(96, 48, 48)]},
    "beside": {128: [(64, 0, 32), (64, 64, 32)], 192: [(96, 0, 48), (96, 96, 48)]},
    "above": {128: [(64, 32, 0), (64, 32, 64)], 192: [(96, 48, 0), (96, 48, 96)]},
    "three": {128: [(64, 32, 0), (64, 0, 64), (64, 64, 64)],
              192: [(96, 48, 0), (96, 0, 96), (96, 96, 96)]},
    "four": {128: [(64, 0, 0), (64, 64, 0), (64, 0, 64), (64, 64, 64)],
             192: [(96, 0, 0), (96, 96, 0), (96, 0, 96), (96, 96, 96)]},
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
    background: str  # a colour of `BACKGROUNDS` or a key of `places`
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
def classes():
    """Sets of indices of things: what can be worn, ridden, eaten and so on (`words/classes.json`)."""
    index = {thing.emoji: i for i, thing in enumerate(things())}
    table = json.loads((ROOT / "words" / "classes.json").read_text(encoding="utf-8"))
    return {name: frozenset(index[e] for e in emoji.split() if e in index) for name, emoji in table.items()}


@functools.cache
def _font():
    """Character map, colour strikes, and ligatures: glyph names of a sequence to the glyph's name."""
    font = TTFont(FONT, lazy=True)
    ligatures = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            table = getattr(table, "ExtSubTable", table)
            for first, following in getattr(table, "ligatures", {}).items():
                ligatures.update({(first, *one.Component): one.LigGlyph for one in following})
    return font.getBestCmap(), font["CBDT"].strikeData[0], ligatures


def _glyph(emoji):
    """The name of the glyph that an emoji, or a sequence joined by U+200D, is drawn with."""
    cmap, _, ligatures = _font()
    names = tuple(cmap[ord(character)] for character in emoji)
    return names[0] if len(names) == 1 else ligatures[names]


@functools.cache
def sprite(emoji, side):
    """`[side, side, 4]` uint8 with premultiplied alpha."""
    strikes = _font()[1]
    image = Image.open(io.BytesIO(strikes[_glyph(emoji)].imageData)).convert("RGBA")
    square = Image.new("RGBA", (136, 136), (0, 0, 0, 0))
    square.paste(image, (0, (136 - image.height) // 2))
    return np.asarray(square.convert("RGBa").resize((side, side), Image.LANCZOS))


def compose(side, background, placed):
    """`[side, side, 3]` uint8: sprites `(emoji, side, left, top)`, mirrored if a fifth value is true, over
    a colour or a picture of that side; they may hang over edges."""
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = background
    for emoji, size, left, top, *mirrored in placed:
        pixels = sprite(emoji, size).astype(np.float32)
        if any(mirrored):
            pixels = pixels[:, ::-1]
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + size, side), min(top + size, side)
        if x1 <= x0 or y1 <= y0:
            continue
        pixels = pixels[y0 - top:y1 - top, x0 - left:x1 - left]
        region = canvas[y0:y1, x0:x1]
        canvas[y0:y1, x0:x1] = region * (1 - pixels[..., 3:] / 255) + pixels[..., :3]
    return canvas.clip(0, 255).round().astype(np.uint8)


def emoji_of(index):
    return UNKNOWN if index == unknown_index() else things()[index].emoji


def backdrop(background, side):
    """The colour, or the picture of the place, that a scene stands on."""
    return BACKGROUNDS[background][1] if background in BACKGROUNDS else places.picture(background, side)


def render(scene):
    placed = [(emoji_of(t), *place) for t, place in zip(scene.things, scene.places)]
    return compose(scene.side, backdrop(scene.background, scene.side), placed)


LAYOUT_SHARES = {"empty": 0.06, "one": 0.32, "small": 0.06, "beside": 0.18, "above": 0.16, "three": 0.16,
                 "four": 0.06}
PLACE_SHARE = 0.45
WHITE_SHARE = 0.12
UNKNOWN_SHARE = 0.05
# Share of scenes whose things are all of one kind: two dogs, three cats.
SAME_SHARES = {"beside": 0.4, "three": 0.35, "four": 0.7}
# Share of pairs that belong together: a being and what it wears, rides or eats.
RELATED_SHARE = 0.4
# For pairs one above the other and side by side: classes of the first and the second.
RELATED = {
    "above": (("headwear", "beings"), ("beings", "clothes"), ("beings", "rides"), ("beings", "seats")),
    "beside": (("beings", "food"), ("beings", "instruments"), ("beings", "portable"), ("beings", "beings")),
}
FRESH_WEIGHT = 3


def random_background(rng, layout):
    if layout == "empty" or rng.random() < PLACE_SHARE:
        return rng.choice(places.keys())
    return "white" if rng.random() < WHITE_SHARE / (1 - PLACE_SHARE) else rng.choice(list(BACKGROUNDS))


def random_things(rng, layout, count, fresh):
    """Indices of `count` things; those in `fresh` come up more often than the others."""
    def draw(among=None):
        among = among or range(len(things()))
        while True:
            index = rng.choice(among)
            if not fresh or index in fresh or rng.random() < 1 / FRESH_WEIGHT:
                return index

    if rng.random() < SAME_SHARES.get(layout, 0):
        return (draw(),) * count
    if count > 2 and rng.random() < 0.25:  # two kinds: two of one and the rest of another
        a, b = draw(), draw()
        return (a,) * 2 + (b,) * (count - 2) if rng.random() < 0.5 else (a,) * (count - 2) + (b,) * 2
    if layout in RELATED and rng.random() < RELATED_SHARE:
        first, second = rng.choice(RELATED[layout])
        return draw(sorted(classes()[first])), draw(sorted(classes()[second]))
    chosen = []
    while len(chosen) < count:
        index = draw()
        if index not in chosen:
            chosen.append(index)
    return tuple(chosen)


def random_scene(rng: random.Random, side, singles=LAYOUT_SHARES["one"], fresh=frozenset()):
    """`singles`: share of scenes with one thing of normal size; the other layouts keep their
    proportions. `fresh`: indices of things that the model does not know yet and meets more often."""
    shares = LAYOUT_SHARES | {"one": singles / (1 - singles) * (1 - LAYOUT_SHARES["one"])}
    layout = rng.choices(list(shares), list(shares.values()))[0]
    if layout == "one" and rng.random() < UNKNOWN_SHARE / singles:
        chosen = (unknown_index(),)
    else:
        chosen = random_things(rng, layout, len(LAYOUTS[layout][side]), fresh)
    return Scene(layout, chosen, random_background(rng, layout), side)
