#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Checks of the world and its prompts that need no training; takes a minute.

    test_prompts.py [--tokenizer MODEL/tokenizer]

True renders of random scenes are read back without an error, captions fit the length asked for and are
none of the kept-out prompts, unknown words are kept apart from the world's, every row of the natural
list can be satisfied, and `inkstone.json` lists the words of the world.
"""

import argparse
import os
import pathlib
import random
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from nano import manifest, natural, places, prompts, vocabulary, words, world
from nano.tokenizer import Prompts

ROOT = pathlib.Path(__file__).resolve().parents[1]


def check_reading():
    rng = random.Random("reading")
    for side in world.SIDES:
        for _ in range(15):
            scene = world.random_scene(rng, side)
            expected = [world.emoji_of(t) for t in scene.things], scene.background
            seen = natural.read(world.render(scene))
            assert seen == expected, f"{expected} is read as {seen}"


def check_captions(tokens):
    rng = random.Random("captions")
    asked = prompts.kept_out()[0]
    for number in range(600):
        length, long = ((32, False), (32, False), (64, True), (160, True))[number % 4]
        scene = prompts.training_scene(rng, 128)
        text, named = prompts.training_caption(scene, rng, tokens, length, long)
        size = tokens.count(text) + tokens.around
        assert size <= length and (not long or size > length - 32), f"{size} tokens, not {length}: {text}"
        assert text.lower() not in asked, text
        assert named or scene.background in world.BACKGROUNDS, text
        assert "{" not in text, text


def check_unknown_words():
    for language in ("en", "zh"):
        known = {name for thing in world.things() for name in getattr(thing, language)}
        unknown = words.unknown_words(language)
        assert not known & set(unknown)
        assert not set(unknown) & set(words.unknown_words(language, held_out=True))


def check_natural_list():
    emoji = {thing.emoji for thing in world.things()}
    rows = prompts.listed("natural")
    assert len(rows) == 300 and sum(row["language"] == "zh" for row in rows) == 150
    for row in rows:
        assert all(thing["any"] and set(thing["any"]) <= emoji for thing in row["things"]), row
        assert row["background"] in (None, *world.BACKGROUNDS), row
        assert row["place"] in (None, *places.OUTDOORS, *places.INDOORS), row
        assert row["time"] in (None, *places.TIMES), row
        assert row["unknown"] == (not row["things"] and not row["place"] and not row["time"]), row


def check_place_names():
    """Names of places and hours are words of the phrases that training uses."""
    for language in ("en", "zh"):
        table = words.tables()[language]
        names = words.tables()["places"][language]
        assert set(names) == {*places.OUTDOORS, *places.INDOORS, *places.TIMES}
        for key, listed in names.items():
            phrases = [*table["scene"].get(key, ()), *table["ground"].get(key, ()), *table["time"].get(key, ())]
            for name in listed:
                assert any(name in phrase for phrase in phrases), f"no phrase for {key} has {name}"


def check_vocabulary():
    once = vocabulary.vocabulary()
    assert list(once) == ["en", "zh"]
    for language, listed in once.items():
        assert len({word.lower() for word in listed}) == len(listed)
        things = [getattr(thing, language) for thing in world.things()]
        # The main names first, then all others.
        assert listed[:len(things)] == [names[0] for names in things]
        assert {name.lower() for names in things for name in names} <= {word.lower() for word in listed}
        assert all(word in listed for word in vocabulary.colours(language))
        table = words.tables()[language]
        aimless = {*table["adjectives"], *table["styles"], *table["quality"], *table["everyday"]}
        names = {name for names in [*things, *vocabulary.scenery(language)] for name in names}
        assert not aimless & set(listed) - names - set(vocabulary.colours(language))
    for word in ("strawberry", "police officer", "new york", "sunset", "light blue", "children", "wolves", "portrait"):
        assert word in once["en"], word
    for word in ("草莓", "警察", "上海", "黄昏", "浅蓝色", "T恤", "全身照"):
        assert word in once["zh"], word


def check_manifest(path):
    """The file as it is, and as an export writes it again."""
    description = manifest.read(path)
    text = path.read_text(encoding="utf-8")
    assert manifest.text(description) == text, "the layout of inkstone.json"
    assert len(text.encode()) < 60_000
    assert max(manifest.width(line) for line in text[text.index('"words"'):].splitlines()) <= manifest.COLUMNS
    assert description["words"] == vocabulary.vocabulary(), "the words of inkstone.json are not those of the world"
    again = manifest.text({"words": {}} | description | {"words": vocabulary.vocabulary()})
    assert again == text
    asked = prompts.kept_out()[0]
    for language, examples in description["examples"].items():
        for prompt in examples:
            assert prompt.lower() not in asked, prompt
            assert any(word in prompt for word in description["words"][language]), prompt


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokenizer", type=pathlib.Path, default=ROOT / "Models/emoji-nano/tokenizer")
    arguments = parser.parse_args()
    check_natural_list()
    check_unknown_words()
    check_place_names()
    check_vocabulary()
    check_manifest(ROOT / "Models/emoji-nano/inkstone.json")
    check_captions(Prompts(arguments.tokenizer))
    check_reading()
    print("world and prompts: all checks passed")


if __name__ == "__main__":
    sys.exit(main())
