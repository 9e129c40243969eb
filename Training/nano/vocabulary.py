# Part of Inkstone. Licence: see LICENSE.
"""The words that the model knows, for people: what `inkstone.json` offers to complete.

Only words that change the picture: things, places, hours, colours and framing; first the main name of each,
then all others. Adjectives, verbs, media and styles change nothing and are left out.
"""

from . import places, words, world
from .english import plural

FRAMES = {"en": ["portrait", "headshot", "full body"], "zh": ["肖像", "头像", "全身照", "全身像"]}


def colours(language):
    return list(world.BACKGROUNDS) if language == "en" else [name for name, _ in world.BACKGROUNDS.values()]


def scenery(language):
    """Names of each ground, then of each hour (`words/places.json`)."""
    table = words.tables()["places"][language]
    return [table[key] for key in (*places.OUTDOORS, *places.INDOORS, "sunset", "night", "day")]


def irregular(names):
    """Plurals that no ending added to the singular makes: wolves, children, firemen."""
    for name in names:
        if " " not in name:
            many = plural(name)
            if many not in (name, f"{name}s", f"{name}es", f"{name[:-1]}ies"):
                yield many


def known(language):
    """The words of a language, none of them twice."""
    named = [getattr(thing, language) for thing in world.things()] + scenery(language)
    listed = [names[0] for names in named] + colours(language) + FRAMES[language]
    listed += [name for names in named for name in names[1:]]
    listed += words.tables()["broader"][language]
    if language == "en":
        listed += irregular(listed)
    once = {}
    for word in listed:
        once.setdefault(word.lower(), word)
    return list(once.values())


def vocabulary():
    """Words by language, as `inkstone.json` holds them."""
    return {language: known(language) for language in ("en", "zh")}
