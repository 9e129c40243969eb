# Part of Inkstone. Licence: see LICENSE.
"""The evaluation's prompts: drawn once, committed, and kept out of training.

    python -m nano.prompts > evaluation_prompts.jsonl

Training never sees a prompt of the list, nor a pair or three of things that the list asks for in the
same layout.
"""

import functools
import json
import random
import sys

from . import captions, world

COUNTS = {"one": 608, "beside": 600, "above": 600, "three": 600, "small": 152}
UNKNOWN = 100


def draw():
    rng = random.Random("evaluation")
    rows, seen = [], set()
    for layout, count in COUNTS.items():
        for number in range(count):
            language = ("en", "zh")[number % 2]
            while True:
                size = len(world.LAYOUTS[layout][128])
                if size == 1:  # every name once or twice
                    chosen = ((number // 2) % len(world.things()),)
                else:
                    chosen = tuple(rng.sample(range(len(world.things())), size))
                scene = world.Scene(layout, chosen, rng.choice(list(world.BACKGROUNDS)), 128)
                text, named = captions.caption(scene, rng, language, named=rng.random() < 0.75, plain=True)
                if text not in seen:
                    break
            seen.add(text)
            rows.append(row(scene, text, language, named))
    for number in range(UNKNOWN):
        language = ("en", "zh")[number % 2]
        scene = world.Scene("one", (world.unknown_index(),), rng.choice(list(world.BACKGROUNDS)), 128)
        text, named = captions.caption(scene, rng, language, named=True, plain=True, held_out=True)
        rows.append(row(scene, text, language, named) | {"layout": "unknown"})
    return rows


def row(scene, text, language, named):
    return {"prompt": text, "language": language, "layout": scene.layout,
            "things": [world.emoji_of(t) for t in scene.things],
            "background": scene.background if named else None}


@functools.cache
def listed():
    path = world.ROOT / "evaluation_prompts.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@functools.cache
def kept_out():
    """Prompts, and things with their layout, that training may not use."""
    texts = {row["prompt"].lower() for row in listed()}
    scenes = {(row["layout"], tuple(row["things"])) for row in listed() if len(row["things"]) > 1}
    return texts, scenes


def training_scene(rng, side, **shares):
    while True:
        scene = world.random_scene(rng, side, **shares)
        if (scene.layout, tuple(world.emoji_of(t) for t in scene.things)) not in kept_out()[1]:
            return scene


def training_caption(scene, rng, long=False):
    while True:
        text, named = captions.caption(scene, rng, long=long)
        if text.lower() not in kept_out()[0]:
            return text, named


if __name__ == "__main__":
    for entry in draw():
        json.dump(entry, sys.stdout, ensure_ascii=False)
        print()
