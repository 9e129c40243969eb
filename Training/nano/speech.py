# Part of Inkstone. Licence: see LICENSE.
"""Prompts as people write them, for any scene of the world.

What is drawn is named somewhere in the prompt; around it stand adjectives, verbs, styles, names of
people and other words that the picture does not depend on. `english.py` and `chinese.py` hold the
wording, `words/` the vocabulary.
"""

import itertools

from . import chinese, english, words, world

MIXED_SHARE = 0.06
KEYWORDS_SHARE = 0.05  # of prompts that consist of names alone
GRAMMARS = {"en": english, "zh": chinese}
JOINTS = {"en": ", ", "zh": "，"}


def groups_of(scene):
    """`(index, count)` of each kind, in order."""
    return [(index, len(list(same))) for index, same in itertools.groupby(scene.things)]


def mixed(scene, text, language, rng):
    """Replaces one noun of a prompt by the other language's, where the prompt holds it literally."""
    other = "zh" if language == "en" else "en"
    for index in dict.fromkeys(scene.things):
        if index == world.unknown_index():
            continue
        thing = world.things()[index]
        for name in sorted(getattr(thing, language), key=len, reverse=True):
            if name in text:
                space = " " if language == "zh" and rng.random() < 0.5 else ""
                return text.replace(name, space + rng.choice(getattr(thing, other)) + space, 1)
    return text


def decorations(language, rng):
    """Words of style and quality that people add behind commas."""
    table = words.tables()[language]
    roll = rng.random()
    count = 0 if roll < 0.6 else rng.randint(1, 2) if roll < 0.87 else rng.randint(3, 6)
    return [rng.choice(table["styles"] if rng.random() < 0.4 else table["quality"]) for _ in range(count)]


def core(scene, language, named, rng):
    """`(what is shown, phrases of the place or colour)`."""
    grammar = GRAMMARS[language]
    if scene.layout == "empty":
        ground, _, time = scene.background.partition(" ")
        return grammar.empty(ground, time or None, rng), []
    text = grammar.body(scene, groups_of(scene), rng)
    return text, grammar.where(scene.background, rng) if named else []


def caption(scene, rng, language, named):
    grammar = GRAMMARS[language]
    if scene.layout != "empty" and rng.random() < KEYWORDS_SHARE:
        found = grammar.keywords(groups_of(scene), scene.background if named else None, rng)
        return grammar.loosened(rng.choice((" ", " ", JOINTS[language])).join(found), rng)
    text, phrases = core(scene, language, named, rng)
    if rng.random() < MIXED_SHARE:
        text = mixed(scene, text, language, rng)
    late = rng.random() < 0.15  # the place among the decorations
    if not late:
        text = grammar.placed(text, phrases, rng)
    tail = decorations(language, rng) + (phrases if late else [])
    rng.shuffle(tail)
    text = JOINTS[language].join([grammar.introduced(text, rng), *tail])
    if rng.random() < 0.08:
        text += {"en": rng.choice([".", ".", "!", " "]), "zh": rng.choice(["。", "。", "！", " "])}[language]
    return grammar.loosened(text, rng)


def long_caption(scene, rng, language, named, length_of, least, most):
    """A prompt of `least` to `most` tokens: what is shown somewhere among clauses that mean nothing."""
    grammar, table = GRAMMARS[language], words.tables()[language]
    text, phrases = core(scene, language, named, rng)
    apart = rng.random() < 0.3  # the place in a clause of its own
    if not apart:
        text = grammar.placed(text, phrases, rng)
    text = grammar.introduced(text, rng)
    before, after = [], phrases if apart else []
    style = rng.random() < 0.5  # tags, or clauses
    early = rng.choice((0, 0, 0.3, 0.6))
    while True:
        parts = [*before, text, *after]
        whole = JOINTS[language].join(parts)
        size = length_of(whole)
        if size >= least or size > most:
            break
        source = rng.choice(("styles", "quality", "quality")) if style or rng.random() < 0.3 else "clauses"
        part = words.with_unknown(rng.choice(table[source]), language, rng)
        if rng.random() < early:
            before.append(part)
        else:
            after.insert(rng.randint(0, len(after)), part)
    return grammar.loosened(whole, rng)
