# Part of Inkstone. Licence: see LICENSE.
"""The evaluation's prompts: drawn once, committed, and kept out of training.

    python -m nano.prompts > evaluation_prompts.jsonl

Training never sees a prompt of the list, nor a pair or three of things that the list asks for in the
same layout. The natural prompts (`natural_prompts.jsonl`, written by hand) are kept out word for word,
and so is every unknown word that either list asks for. The committed list was drawn from an earlier
vocabulary, so a new draw gives another one.
"""

import functools
import json
import random
import sys

from . import captions, speech, world

COUNTS = {"one": 608, "beside": 600, "above": 600, "three": 600, "small": 152}
UNKNOWN = 100
PLAIN_SHARE = 0.45  # of captions in the words of the evaluation, where they suffice


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
def listed(name="evaluation"):
    """The rows of a list of prompts: `evaluation` or `natural`."""
    path = world.ROOT / f"{name}_prompts.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@functools.cache
def kept_out():
    """Prompts, and things with their layout, that training may not use."""
    texts = {row["prompt"].lower() for row in listed() + listed("natural")}
    scenes = {(row["layout"], tuple(row["things"])) for row in listed() if len(row["things"]) > 1}
    return texts, scenes


def training_scene(rng, side, **shares):
    while True:
        scene = world.random_scene(rng, side, **shares)
        if (scene.layout, tuple(world.emoji_of(t) for t in scene.things)) not in kept_out()[1]:
            return scene


def plain_words_suffice(scene):
    """Whether the grammar of the evaluation has words for a scene."""
    return (scene.background in world.BACKGROUNDS and scene.layout not in ("empty", "four")
            and len(set(scene.things)) == len(scene.things))


def training_caption(scene, rng, tokens=None, length=32, long=False):
    """`(prompt, whether it names the background)`, of at most `length` tokens with the template; with
    `long`, too many for the next shorter block of 32."""
    most = length - tokens.around if tokens else 1 << 20
    least = most - 31 if long else 0
    while True:
        language = "zh" if rng.random() < captions.CHINESE_SHARE else "en"
        named = captions.names_background(scene, rng)
        if long and (length > 64 or rng.random() < 0.5):
            text = speech.long_caption(scene, rng, language, named, tokens.count, least, most)
        elif not long and plain_words_suffice(scene) and rng.random() < PLAIN_SHARE:
            text, named = captions.caption(scene, rng, language, named=named)
        else:
            text = speech.caption(scene, rng, language, named)
        if text.lower() not in kept_out()[0] and (not tokens or least <= tokens.count(text) <= most):
            return text, named


if __name__ == "__main__":
    for entry in draw():
        json.dump(entry, sys.stdout, ensure_ascii=False)
        print()
