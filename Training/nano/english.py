# Part of Inkstone. Licence: see LICENSE.
"""How people ask in English: noun phrases, relations, places, framing, decorations."""

import re

from . import places, words, world
from .captions import NO_ARTICLE, english_thing, pick_name

IRREGULAR = {"mouse": "mice", "sheep": "sheep", "fish": "fish", "deer": "deer", "wolf": "wolves",
             "scarf": "scarves", "leaf": "leaves", "man": "men", "woman": "women", "child": "children",
             "squid": "squid", "dice": "dice", "calf": "calves", "elf": "elves", "mice": "mice", "loaf": "loaves",
             "tomato": "tomatoes", "potato": "potatoes", "hero": "heroes", "superhero": "superheroes",
             "aircraft": "aircraft", "spacecraft": "spacecraft"}
RELATIONS = {("headwear", 0): "wear", ("clothes", 1): "wear", ("rides", 1): "ride", ("seats", 1): "sit"}


def plural(name):
    if NO_ARTICLE.match(name):
        return name
    head = re.match(r"(.*?)( of .*| with .*| standing| dancing| running| full body|$)", name)
    stem, rest = head.groups()
    before, _, last = stem.rpartition(" ")
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif last.endswith("man") and last != "human":
        last = last[:-2] + "en"
    elif last.endswith(("s", "x", "ch", "sh", "z")) and not last.endswith("ies"):
        last = last if last.endswith("ers") else last + "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{before} {last}{rest}".lstrip()


def bare_name(index, rng):
    if index == world.unknown_index():
        return " ".join(rng.sample(words.unknown_words("en"), rng.choice((1, 1, 2))))
    if index in words.broader("en") and rng.random() < 0.16:
        return rng.choice(words.broader("en")[index])
    return pick_name(world.things()[index].en, rng)


def described(name, index, rng, small=False, rich=0.35):
    """The name with what people put before it, none of which changes the picture (but for the size)."""
    table = words.tables()["en"]
    parts = []
    if small:
        parts.append(rng.choice(table["sizes"]))
    while rng.random() < rich and len(parts) < 4:
        parts.append(rng.choice(list(world.BACKGROUNDS)) if rng.random() < 0.2 else rng.choice(table["adjectives"]))
    if index != world.unknown_index() and rng.random() < 0.12:
        parts.append(rng.choice(table["modifiers"].get(words.kind_of(index), table["modifiers"]["other"])))
    comma = ", " if rng.random() < 0.1 else " "
    return comma.join(parts) + " " + name if parts else name


def thing(index, count, rng, small=False):
    name = bare_name(index, rng)
    if count > 1:
        number = rng.choice(words.tables()["en"]["number"][str(count)])
        return f"{number} {described(plural(name), index, rng, small)}"
    text = described(name, index, rng, small)
    roll = rng.random()
    if roll < 0.06:
        return f"{rng.choice(words.tables()['en']['number']['1'])} {text}"
    if roll < 0.16:
        return f"the {text}"
    if NO_ARTICLE.match(name) or roll < 0.22:
        return text
    return english_thing(text, rng) if text == name else ("an " if text[0] in "aeiou" else "a ") + text


def relation(layout, groups):
    """Which verbs fit two kinds: a key of the tables."""
    classes = world.classes()
    first, second = groups[0][0], groups[1][0]
    if layout == "above":
        for (name, place), verbs in RELATIONS.items():
            other = second if place == 0 else first
            if (first, second)[place] in classes[name] and other in classes["beings"]:
                return verbs
        return "over"
    if first in classes["beings"]:
        for name, verbs in (("food", "eat"), ("drinks", "drink"), ("instruments", "play"), ("portable", "hold"),
                            ("beings", "meet")):
            if second in classes[name]:
                return verbs
    return "and"


def two(layout, groups, phrases, rng):
    table = words.tables()["en"]
    first, second = phrases
    kind = relation(layout, groups)
    if layout == "above":
        if kind == "wear":  # what is worn comes second; headwear is the upper one
            worn_above = groups[0][0] in world.classes()["headwear"]
            wearer, worn = (second, first) if worn_above else (first, second)
            return f"{wearer} {rng.choice(table['wear'])} {worn}"
        if kind == "over" or rng.random() < 0.3:
            if rng.random() < 0.5:
                return f"{first} {rng.choice(table['over'])} {second}"
            return f"{second} {rng.choice(table['below'])} {first}"
        return f"{first} {rng.choice(table[kind])} {second}"
    if kind == "and" or rng.random() < 0.25:
        return rng.choice([f"{first} and {second}", f"{first} with {second}", f"{first} & {second}",
                           f"{first} and {second} side by side", f"{first}, {second}", f"{first} next to {second}",
                           f"{first} beside {second}", f"{first} {second}", f"{first} plus {second}"])
    return f"{first} {rng.choice(table[kind])} {second}"


def framed(index, phrase, rng):
    """Portraits of faces and full-length pictures of standing people."""
    table, emoji = words.tables()["en"], world.things()[index].emoji
    if emoji in ("🧍‍♀", "🧍‍♂"):
        if rng.random() < 0.6:
            sibling = next(t for t in world.things() if t.emoji == {"🧍‍♀": "👩", "🧍‍♂": "👨"}[emoji])
            name = described(pick_name(sibling.en, rng), index, rng)
            return rng.choice(table["full"]).format(rng.choice(["a ", "the ", "a ", ""]) + name)
        return phrase
    roll = rng.random()
    if emoji in "👩👨" and roll < 0.18:
        phrase = words.person("en", rng)
        if emoji == "👩" and rng.random() < 0.4:
            phrase += " " + rng.choice(table["attire"])
        return rng.choice(table["portrait"]).format(phrase) if rng.random() < 0.6 else phrase
    if emoji == "👩" and roll < 0.34:
        phrase += " " + rng.choice(table["attire"])
    if rng.random() < 0.35:
        return rng.choice(table["portrait"]).format(phrase)
    if rng.random() < 0.08:
        return rng.choice([f"{words.person('en', rng)}, {phrase}", f"{phrase} named {words.person('en', rng)}",
                           f"{phrase} called {words.person('en', rng)}"])
    return phrase


def single(scene, rng):
    index = scene.things[0]
    table = words.tables()["en"]
    phrase = thing(index, 1, rng, small=scene.layout == "small")
    unknown = index == world.unknown_index()
    if not unknown and index in world.classes()["people"] and scene.layout == "one":
        phrase = framed(index, phrase, rng)
    elif not unknown and rng.random() < 0.05:
        who = words.person("en", rng)
        name = bare_name(index, rng)
        phrase = rng.choice([f"{who} and her {name}", f"{who} and his {name}", f"{who}'s {name}",
                             f"{who} with {phrase}", f"{who} holding {phrase}", f"{who}, {phrase}"])
    elif not unknown and rng.random() < 0.05:
        other = words.with_unknown("{u}", "en", rng)
        phrase = rng.choice([f"{phrase} and {other}", f"a {other} and {phrase}", f"{other}, {phrase}",
                             f"{phrase} near a {other}", f"a {other} with {phrase}"])
    if rng.random() < 0.2:
        phrase += " " + words.with_unknown(rng.choice(table["alone"]), "en", rng)
    elif not unknown and rng.random() < 0.03:
        absent = rng.choice([i for i in range(len(world.things())) if i != index])
        phrase += rng.choice([" without {}", " without a {}", ", no {}"]).format(world.things()[absent].en[0])
    return phrase


def body(scene, groups, rng):
    if len(groups) == 1 and groups[0][1] == 1:
        return single(scene, rng)
    phrases = [thing(index, count, rng) for index, count in groups]
    if len(groups) == 1:
        text = phrases[0]
        if rng.random() < 0.2:
            text += " " + words.with_unknown(rng.choice(words.tables()["en"]["alone"]), "en", rng)
        return text
    if len(groups) == 2:
        return two(scene.layout, groups, phrases, rng)
    last = rng.choice([" and ", " and ", ", ", " with "])
    return ", ".join(phrases[:-1]) + last + phrases[-1]


def keywords(groups, background, rng):
    """Names and the place or colour without any other word."""
    table = words.tables()["en"]
    names = [bare_name(index, rng) if count == 1 else f"{count} {plural(bare_name(index, rng))}"
             for index, count in groups]
    if background is None:
        return names
    if background in world.BACKGROUNDS:
        return [*names, background + rng.choice(["", " background"])]
    ground, time = places.split(background)
    place = re.sub(r"^(a|an|the) ", "", rng.choice(table["scene"][ground]))
    hours = {"sunset": ["sunset", "dusk", "evening"], "night": ["night", "midnight"]}
    return [*names, place, *([rng.choice(hours[time])] if time in hours else [])]


def over(what, rng):
    return rng.choice(["{} over {}", "{} over {}", "{} above {}", "{} behind {}", "{} in {}"]).format(
        rng.choice(["sunset", "a sunset", "sunrise", "the setting sun"]), what)


def empty(ground, time, rng):
    """A prompt for a place with nothing in it."""
    table = words.tables()["en"]
    scene = rng.choice(table["scene"][ground])
    if time == "sunset" and rng.random() < 0.35:
        return over(scene, rng)
    if ground == "sky" and time == "night" and rng.random() < 0.6:
        return rng.choice(["starry sky", "a starry sky", "night sky", "stars in the night sky", "the stars"])
    if ground in ("sea", "sky") and time == "sunset" and rng.random() < 0.5:
        return rng.choice(["sunset", "a beautiful sunset", "dusk", "a sunset sky", "sunrise"])
    adjective = rng.choice(table["adjectives"]) + " " if rng.random() < 0.3 else ""
    article = re.match(r"(a |an |the )?(.*)", scene)
    text = (article[1] or "") + adjective + article[2]
    if time and (time != "day" or rng.random() < 0.15):
        text += rng.choice([" ", ", ", " "]) + rng.choice(table["time"][time])
    elif time == "day" and ground != "sky" and rng.random() < 0.12:
        text += rng.choice([" under a blue sky", " under the sky", " below white clouds", " and a blue sky"])
    return text


def where(background, rng):
    """Phrases that name the place, the hour, or the colour."""
    table = words.tables()["en"]
    if background in world.BACKGROUNDS:
        article = "an" if background[0] in "aeiou" else "a"
        adjective = rng.choice(["plain ", "simple ", "clean ", "bright ", "solid ", "flat "]) if rng.random() < 0.12 else ""
        colour = adjective + background
        article = "a" if adjective else article
        return [rng.choice(table["colour"]).format(c=colour, a=f"{article} {colour}")]
    ground, time = places.split(background)
    phrases = []
    if time in ("sunset", "night") or (time and rng.random() < 0.12):
        phrases.append(rng.choice(table["time"][time]))
    if not (ground == "meadow" and phrases and time != "day" and rng.random() < 0.35):
        phrases.append(rng.choice(table["ground"][ground]))
    rng.shuffle(phrases)
    return phrases


def placed(text, phrases, rng):
    for phrase in phrases:
        if rng.random() < 0.12:
            text = f"{phrase}, {text}"
        else:
            text += (", " if " " not in phrase or rng.random() < 0.3 else " ") + phrase
    return text


def introduced(text, rng):
    """A medium or a request before the prompt."""
    table = words.tables()["en"]
    roll = rng.random()
    if roll < 0.1:
        medium = rng.choice(table["mediums"])
        style = rng.choice(table["styles"]) + " " if rng.random() < 0.2 else ""
        return rng.choice(["a {} of {}", "{} of {}", "{} of {}", "a {} showing {}"]).format(style + medium, text)
    if roll < 0.17:
        return rng.choice(table["leads"]).format(text)
    if roll < 0.21:
        return rng.choice(table["styles"]) + rng.choice([" ", ", "]) + text
    return text


def loosened(text, rng):
    """Capitals, no articles, typing errors."""
    if rng.random() < 0.1:
        text = re.sub(r"\b(a|an|the) ", "", text)
    while rng.random() < 0.14:
        text = words.mistype_english(text, rng)
    roll = rng.random()
    if roll < 0.2:
        return text[:1].upper() + text[1:]
    if roll < 0.24:
        return text.title()
    return text.upper() if roll < 0.33 else text
