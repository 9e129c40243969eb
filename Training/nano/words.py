# Part of Inkstone. Licence: see LICENSE.
"""The tables in `words/`, words that the model does not know, names of people, and typing errors."""

import functools
import json
import re
import xml.etree.ElementTree as ElementTree

from . import world


@functools.cache
def tables():
    """By file: `classes`, `broader`, and the words of each language."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted((world.ROOT / "words").glob("*.json"))}


@functools.cache
def broader(language):
    """Index of a thing to the words that mean it and others: flower, fruit, pet."""
    index = {thing.emoji: i for i, thing in enumerate(world.things())}
    words = {}
    for word, emoji in tables()["broader"][language].items():
        for e in emoji.split():
            words.setdefault(index[e], []).append(word)
    return words


@functools.cache
def kind_of(index):
    """Which table of modifiers and measure words fits a thing."""
    for kind in ("people", "animals", "vehicles", "food", "drinks"):
        if index in world.classes()[kind]:
            return kind
    return "other"


@functools.cache
def held_out_words():
    """What the evaluations ask as unknown: such prompts and their words, kept out of training."""
    rows = []
    for name in ("evaluation_prompts.jsonl", "natural_prompts.jsonl"):
        for line in (world.ROOT / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row.get("unknown") or row.get("layout") == "unknown":
                rows.append(row["prompt"].lower())
    return tuple(rows)


def _overlaps(language):
    """A pattern of all words that mean something here: names, broader words, colours, places, hours."""
    known = {name for thing in world.things() for name in getattr(thing, language)}
    known |= set(tables()["broader"][language]) | set(tables()[language]["place words"])
    if language == "zh":
        known |= {zh[0] for zh, _ in world.BACKGROUNDS.values()}
        return re.compile("|".join(map(re.escape, known)))
    known |= set(world.BACKGROUNDS)
    return re.compile(r"\b(" + "|".join(map(re.escape, known)) + r")\b")


@functools.cache
def unknown_words(language, held_out=False):
    """Everyday words and names of other emoji, without those that the evaluations ask; with `held_out`
    only those."""
    words = set(tables()[language]["everyday"])
    for node in ElementTree.parse(world.CLDR / f"{language}.xml").getroot().iter("annotation"):
        if node.get("type") == "tts":
            continue
        for word in node.text.split("|"):
            word = word.strip()
            if len(word) <= (14 if language == "en" else 4) and not re.search(r"[0-9A-Z:“”]", word):
                words.add(word)
    overlaps = _overlaps(language)
    asked = "\n".join(held_out_words())
    inside = (lambda w: re.search(rf"\b{re.escape(w)}\b", asked)) if language == "en" else asked.__contains__
    return sorted(w for w in words if not overlaps.search(w) and bool(inside(w)) == held_out)


def means_something(prompt, language):
    """Whether a prompt holds a word of the world other than a colour of its background."""
    for en, (zh, _) in sorted(world.BACKGROUNDS.items(), key=lambda item: -len(item[0])):
        prompt = prompt.replace(f"{en} background" if language == "en" else f"{zh}背景", " ").replace(f" on {en}", " ")
    return bool(_overlaps(language).search(prompt))


def person(language, rng):
    """A name of nobody: a first and a last name drawn apart."""
    table = tables()[language]
    if language == "zh":
        if rng.random() < 0.25:
            return rng.choice(table["nicknames"])
        return rng.choice(table["last"]) + rng.choice(table["first"])
    first = rng.choice(table["first"])
    return first if rng.random() < 0.4 else f"{first} {rng.choice(table['last'])}"


def with_unknown(text, language, rng):
    """Fills every `{u}` with an unknown word."""
    while "{u}" in text:
        text = text.replace("{u}", rng.choice(unknown_words(language)), 1)
    return text


def mistype_english(text, rng):
    """One typing error in one word of at least four letters."""
    words = text.split(" ")
    candidates = [i for i, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    if not candidates:
        return text
    at = rng.choice(candidates)
    word = words[at]
    i = rng.randrange(1, len(word) - 1)
    words[at] = rng.choice([
        word[:i] + word[i + 1] + word[i] + word[i + 2:],
        word[:i] + word[i + 1:],
        word[:i] + word[i] + word[i:],
        word[:i] + rng.choice("aeiourstlnm") + word[i + 1:]])
    return " ".join(words)


def mistype_chinese(text, rng):
    """One character replaced by one that sounds or looks alike."""
    pairs = [pair for pair in tables()["zh"]["homophones"].split() if pair[0] in text]
    if not pairs or len(text) < 5:
        return text
    right, wrong = rng.choice(pairs)
    return text.replace(right, wrong, 1)
