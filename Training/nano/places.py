# Part of Inkstone. Licence: see LICENSE.
"""Simple drawn places: a ground in front of a sky at one of three times of day, and three indoor ones.

Every place is one fixed picture for each side of the canvas, a function of relative coordinates, so
that the model learns it as it learns a plain colour. The horizon is high (7/16 of the side): whatever
stands lower in a layout stands on the ground. Shapes are drawn at four times the size and reduced.
"""

import functools
import random

import numpy as np
from PIL import Image, ImageDraw

HORIZON = 7 / 16
SCALE = 4
TIMES = ("day", "sunset", "night")
OUTDOORS = ("sky", "sea", "beach", "meadow", "mountains", "snow", "city", "forest")
INDOORS = ("room", "space", "studio")

# Colours of the sky from the top down to the horizon.
SKIES = {
    "day": ((86, 160, 236), (150, 205, 248), (214, 236, 252)),
    "sunset": ((92, 62, 140), (226, 104, 92), (255, 206, 112)),
    "night": ((8, 12, 40), (18, 26, 72), (46, 58, 112)),
}
# What the light of the hour does to a colour: factors and an offset of the channels.
LIGHTS = {
    "day": ((1, 1, 1), (0, 0, 0)),
    "sunset": ((0.86, 0.62, 0.56), (22, 6, 12)),
    "night": ((0.28, 0.32, 0.42), (4, 8, 24)),
}


def keys():
    """Names of all places: `beach day`, `beach sunset`, ..., `room`, `space`, `studio`."""
    return [f"{ground} {time}" for ground in OUTDOORS for time in TIMES] + list(INDOORS)


def split(key):
    """`(ground, time)` of a place's name; indoor ones have no time."""
    ground, _, time = key.partition(" ")
    return ground, time or None


def lit(colour, time):
    factors, offset = LIGHTS[time]
    return tuple(round(min(255, c * f + o)) for c, f, o in zip(colour, factors, offset))


def gradient(side, colours, top=0.0, bottom=1.0):
    """`[side, side, 3]` uint8: colours spread evenly from one relative height to another."""
    heights = np.linspace(0, 1, side)
    stops = np.linspace(top, bottom, len(colours))
    columns = [np.interp(heights, stops, [c[k] for c in colours]) for k in range(3)]
    return np.repeat(np.stack(columns, -1)[:, None], side, 1).round().astype(np.uint8)


class Pencil:
    """Draws on an image in relative coordinates."""

    def __init__(self, pixels):
        self.image = Image.fromarray(pixels)
        self.drawing = ImageDraw.Draw(self.image)
        self.side = pixels.shape[0]

    def polygon(self, colour, *points):
        self.drawing.polygon([(x * self.side, y * self.side) for x, y in points], fill=colour)

    def box(self, colour, left, top, right, bottom):
        self.drawing.rectangle([c * self.side for c in (left, top, right, bottom)], fill=colour)

    def ellipse(self, colour, x, y, rx, ry=None):
        ry = rx if ry is None else ry
        self.drawing.ellipse([c * self.side for c in (x - rx, y - ry, x + rx, y + ry)], fill=colour)

    def stars(self, count, bottom):
        rng = random.Random("stars")
        for _ in range(count):
            x, y = rng.random(), rng.random() * bottom
            self.ellipse((255, 250, 220), x, y, rng.choice((0.007, 0.01)))


def draw_sky(side, time, bottom=HORIZON):
    pencil = Pencil(gradient(side, SKIES[time], bottom=bottom))
    if time == "night":
        pencil.stars(16 if bottom < 1 else 40, bottom)
    if time == "sunset":
        pencil.ellipse((255, 236, 150), 0.74, 0.36 if bottom < 1 else 0.7, 0.1)
    return pencil


def sky(side, time):
    pencil = draw_sky(side, time, bottom=1.0)
    cloud = {"day": (250, 252, 255), "sunset": (246, 170, 140), "night": (52, 62, 110)}[time]
    for x, y, size in ((0.16, 0.12, 1.0), (0.86, 0.2, 0.8), (0.1, 0.9, 0.8), (0.84, 0.92, 1.1)):
        for dx, dy, r in ((-0.08, 0.01, 0.045), (0, -0.02, 0.065), (0.08, 0.01, 0.05)):
            pencil.ellipse(cloud, x + dx * size, y + dy * size, r * size * 1.2, r * size)
    return pencil


def water(pencil, time, top, bottom):
    height = bottom - top
    for i in range(8):
        shade = 1 - 0.05 * i
        colour = lit(tuple(c * shade for c in (44, 130, 210)), time)
        pencil.box(colour, 0, top + height * i / 8, 1, bottom)


def sea(side, time):
    pencil = draw_sky(side, time)
    water(pencil, time, HORIZON, 1)
    crest = lit((170, 214, 244), time)
    for x, y in ((0.1, 0.54), (0.62, 0.5), (0.86, 0.6), (0.04, 0.72), (0.9, 0.78), (0.3, 0.92), (0.7, 0.95)):
        pencil.ellipse(crest, x, y, 0.07, 0.008)
    return pencil


def beach(side, time):
    pencil = draw_sky(side, time)
    water(pencil, time, HORIZON, 0.6)
    pencil.box(lit((240, 216, 164), time), 0, 0.62, 1, 1)
    pencil.ellipse(lit((246, 250, 252), time), 0.5, 0.74, 0.85, 0.17)
    pencil.ellipse(lit((240, 216, 164), time), 0.5, 0.77, 0.88, 0.17)
    return pencil


def meadow(side, time):
    pencil = draw_sky(side, time)
    pencil.ellipse(lit((110, 186, 84), time), 0.1, 0.62, 0.6, 0.22)
    pencil.ellipse(lit((124, 198, 92), time), 0.95, 0.66, 0.6, 0.26)
    pencil.box(lit((96, 180, 74), time), 0, 0.56, 1, 1)
    tuft = lit((70, 150, 56), time)
    for x, y in ((0.06, 0.7), (0.93, 0.68), (0.1, 0.94), (0.52, 0.95), (0.9, 0.92)):
        for dx in (-0.02, 0, 0.02):
            pencil.polygon(tuft, (x + dx - 0.008, y), (x + dx + 0.008, y), (x + 1.8 * dx, y - 0.05))
    return pencil


def mountains(side, time):
    pencil = draw_sky(side, time)
    for x, y, width in ((0.2, 0.1, 0.36), (0.84, 0.06, 0.4), (0.54, 0.2, 0.3)):
        foot = 0.56
        pencil.polygon(lit((112, 124, 150), time), (x - width, foot), (x, y), (x + width, foot))
        cut = 0.3  # of the height is snow
        snow = y + (foot - y) * cut
        pencil.polygon(lit((244, 248, 252), time), (x - width * cut, snow), (x, y), (x + width * cut, snow),
                       (x + width * 0.1, snow - 0.03), (x, snow + 0.02), (x - width * 0.1, snow - 0.03))
    pencil.box(lit((134, 150, 96), time), 0, 0.52, 1, 1)
    pencil.ellipse(lit((150, 164, 106), time), 0.2, 0.98, 0.7, 0.26)
    return pencil


def snow(side, time):
    pencil = draw_sky(side, time)
    if time == "day":
        pencil = Pencil(gradient(side, ((158, 188, 214), (206, 222, 236)), bottom=HORIZON))
    pencil.ellipse(lit((226, 236, 246), time), 0.9, 0.62, 0.6, 0.24)
    pencil.box(lit((240, 246, 252), time), 0, 0.54, 1, 1)
    pencil.ellipse(lit((248, 251, 254), time), 0.2, 0.62, 0.55, 0.16)
    flakes = random.Random("flakes")
    for _ in range(14):
        pencil.ellipse((252, 254, 255), flakes.random(), flakes.random() * 0.5, 0.014)
    return pencil


def city(side, time):
    pencil = draw_sky(side, time)
    rng = random.Random("city")
    left = 0.0
    while left < 1:
        width, height = rng.choice((0.125, 0.1875)), rng.choice((0.16, 0.26, 0.36, 0.44))
        grey = rng.choice((104, 126, 148))
        pencil.box(lit((grey, grey + 6, grey + 18), time), left, 0.56 - height, left + width - 0.006, 0.58)
        pane = (255, 222, 120) if time != "day" else (206, 226, 240)
        for row in range(int(height / 0.075)):
            for column in range(int(width / 0.06)):
                if rng.random() < 0.75:
                    x, y = left + 0.02 + 0.06 * column, 0.56 - height + 0.025 + 0.075 * row
                    pencil.box(pane, x, y, x + 0.026, y + 0.034)
        left += width
    pencil.box(lit((150, 152, 158), time), 0, 0.56, 1, 0.66)
    pencil.box(lit((92, 94, 100), time), 0, 0.66, 1, 1)
    for x in (0.02, 0.4, 0.78):
        pencil.box(lit((236, 232, 210), time), x, 0.92, x + 0.2, 0.945)
    return pencil


def forest(side, time):
    pencil = draw_sky(side, time)
    pencil.box(lit((58, 120, 70), time), 0, 0.3, 1, 0.6)
    pencil.box(lit((98, 130, 66), time), 0, 0.56, 1, 1)
    for x, y, size in ((0.3, 0.52, 0.9), (0.5, 0.5, 0.8), (0.7, 0.52, 0.9), (0.08, 0.62, 1.2), (0.92, 0.62, 1.2)):
        pencil.box(lit((104, 70, 44), time), x - 0.02 * size, y - 0.1, x + 0.02 * size, y + 0.04)
        for step, shade in enumerate((1.0, 1.12, 1.24)):
            top, width = y - (0.26 + 0.13 * step) * size, (0.15 - 0.03 * step) * size
            green = lit(tuple(c * shade for c in (34, 96, 56)), time)
            pencil.polygon(green, (x - width, top + 0.22 * size), (x, top), (x + width, top + 0.22 * size))
    return pencil


def room(side, _):
    pencil = Pencil(gradient(side, ((238, 222, 196), (228, 208, 180))))
    pencil.box((250, 250, 246), 0.66, 0.08, 0.94, 0.36)
    for x in (0.68, 0.81):
        pencil.box((150, 206, 246), x, 0.1, x + 0.115, 0.34)
    pencil.box((196, 130, 84), 0.08, 0.12, 0.34, 0.34)
    pencil.box((244, 236, 214), 0.1, 0.14, 0.32, 0.32)
    pencil.box((250, 246, 236), 0, 0.53, 1, 0.56)
    for i in range(8):
        colour = ((182, 128, 82), (172, 118, 74))[i % 2]
        pencil.polygon(colour, (i / 8, 0.56), ((i + 1) / 8, 0.56), (i / 4 + 0.25 - 0.5, 1), (i / 4 - 0.5, 1))
    return pencil


def space(side, _):
    pixels = gradient(side, ((14, 8, 34), (40, 18, 74), (12, 10, 44), (8, 6, 24)))
    y, x = np.mgrid[:side, :side] / side
    for cx, cy, radius, colour in ((0.15, 0.8, 0.35, (110, 30, 120)), (0.9, 0.15, 0.3, (30, 60, 150))):
        glow = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (radius / 2) ** 2)
        pixels = np.clip(pixels + glow[..., None] * 0.6 * np.array(colour), 0, 255).astype(np.uint8)
    pencil = Pencil(pixels)
    pencil.stars(44, 1)
    return pencil


def studio(side, _):
    y, x = np.mgrid[:side, :side] / side
    light = np.exp(-((x - 0.5) ** 2 + (y - 0.42) ** 2) / 0.22)
    wall = 120 + 110 * light
    floor = 150 + 90 * np.exp(-((x - 0.5) ** 2 / 0.3 + (y - 0.84) ** 2 / 0.05))
    blend = 1 / (1 + np.exp(-(y - 0.72) / 0.015))
    value = wall * (1 - blend) + floor * blend
    return Pencil((value[..., None] * np.array((1, 0.99, 0.97))).clip(0, 255).astype(np.uint8))


DRAWN = {"sky": sky, "sea": sea, "beach": beach, "meadow": meadow, "mountains": mountains, "snow": snow,
         "city": city, "forest": forest, "room": room, "space": space, "studio": studio}


@functools.cache
def picture(key, side):
    """`[side, side, 3]` uint8 of a place."""
    ground, time = split(key)
    image = DRAWN[ground](side * SCALE, time).image
    return np.asarray(image.resize((side, side), Image.BOX))
