# Part of Inkstone. Licence: see LICENSE.
"""How people ask in Chinese: noun phrases, relations, places, framing, decorations."""

from . import places, words, world
from .captions import pick_name
from .english import relation


def bare_name(index, rng):
    if index == world.unknown_index():
        return "".join(rng.sample(words.unknown_words("zh"), rng.choice((1, 1, 2))))
    if index in words.broader("zh") and rng.random() < 0.16:
        return rng.choice(words.broader("zh")[index])
    return pick_name(world.things()[index].zh, rng)


def described(name, index, rng, small=False, rich=0.3):
    """The name with what people put before it, none of which changes the picture (but for the size)."""
    table = words.tables()["zh"]
    parts = []
    if small:
        parts.append(rng.choice(table["sizes"]))
    while rng.random() < rich and len(parts) < 3:
        parts.append(rng.choice(table["adjectives"]))
    if index != world.unknown_index() and rng.random() < 0.12:
        parts.append(rng.choice(table["modifiers"].get(words.kind_of(index), table["modifiers"]["other"])))
    return "".join(parts) + name


def thing(index, count, rng, small=False):
    table = words.tables()["zh"]
    name = bare_name(index, rng)
    if name.startswith("一") and count == 1:
        return name
    text = described(name, index, rng, small)
    kind = "other" if index == world.unknown_index() else words.kind_of(index)
    if count > 1:
        number = rng.choice(table["number"][str(count)])
        return number + rng.choice(table["measures"][kind].split()) + text.removeprefix("一")
    if rng.random() < 0.4:
        return rng.choice(table["number"]["1"][:1] * 5 + ["1"]) + rng.choice(table["measures"][kind].split()) + text
    return text


def two(layout, groups, phrases, rng):
    table = words.tables()["zh"]
    first, second = phrases
    kind = relation(layout, groups)
    if layout == "above":
        if kind == "wear":
            worn_above = groups[0][0] in world.classes()["headwear"]
            wearer, worn = (second, first) if worn_above else (first, second)
            verb = rng.choice(table["wear"])
            return rng.choice([f"{wearer}{verb}{worn}", f"{verb}{worn}的{wearer}", f"{verb}{worn}的{wearer}"])
        if kind == "ride" and rng.random() < 0.7:
            verb = rng.choice(table["ride"])
            return rng.choice([f"{first}{verb}{second}", f"{verb}{second}的{first}"])
        if kind == "sit" and rng.random() < 0.7:
            verb = rng.choice(table["sit"])
            return rng.choice([f"{first}{verb}{second}上", f"{verb}{second}上的{first}", f"{first}{verb}{second}上面"])
        upper = rng.choice(table["over"]).format(second)
        lower = rng.choice(table["below"]).format(first)
        return rng.choice([first + upper, second + lower, f"{upper}的{first}", f"{lower}的{second}"])
    if kind == "and" or rng.random() < 0.25:
        return rng.choice([f"{first}和{second}", f"{first}与{second}", f"{first}、{second}", f"{first}，{second}",
                           f"{first} {second}", f"{first}还有{second}", f"{first}旁边的{second}", f"{first}加{second}"])
    verb = rng.choice(table[kind])
    return rng.choice([f"{first}{verb}{second}", f"{first}{verb}{second}", f"{verb}{second}的{first}"])


def framed(index, phrase, rng):
    """Portraits of faces and full-length pictures of standing people."""
    table, emoji = words.tables()["zh"], world.things()[index].emoji
    if emoji in ("🧍‍♀", "🧍‍♂"):
        if rng.random() < 0.6:
            sibling = next(t for t in world.things() if t.emoji == {"🧍‍♀": "👩", "🧍‍♂": "👨"}[emoji])
            name = described(pick_name(sibling.zh, rng), index, rng)
            return rng.choice(table["full"]).format(rng.choice(["", "", "一个", "一位"]) + name)
        return phrase
    roll = rng.random()
    if emoji in "👩👨" and roll < 0.18:
        phrase = words.person("zh", rng)
        if emoji == "👩" and rng.random() < 0.4:
            phrase += "，" + rng.choice(table["attire"]).removesuffix("的")
        return rng.choice(table["portrait"]).format(phrase) if rng.random() < 0.5 else phrase
    if emoji == "👩" and roll < 0.34:
        attire = rng.choice(table["attire"])
        phrase = rng.choice([attire + phrase, f"{phrase}，{attire.removesuffix('的')}"])
    if rng.random() < 0.35:
        return rng.choice(table["portrait"]).format(phrase)
    if rng.random() < 0.08:
        return rng.choice([f"{words.person('zh', rng)}，{phrase}", f"{phrase}{words.person('zh', rng)}"])
    return phrase


def single(scene, rng):
    index = scene.things[0]
    table = words.tables()["zh"]
    phrase = thing(index, 1, rng, small=scene.layout == "small")
    unknown = index == world.unknown_index()
    if not unknown and index in world.classes()["people"] and scene.layout == "one":
        phrase = framed(index, phrase, rng)
    elif not unknown and rng.random() < 0.05:
        who = words.person("zh", rng)
        name = bare_name(index, rng)
        phrase = rng.choice([f"{who}和她的{name}", f"{who}和他的{name}", f"{who}的{name}", f"{who}拿着{phrase}",
                             f"{who}与{phrase}", f"{who}抱着{phrase}", f"{who}，{phrase}"])
    elif not unknown and rng.random() < 0.05:
        other = words.with_unknown("{u}", "zh", rng)
        phrase = rng.choice([f"{phrase}和{other}", f"{other}和{phrase}", f"{other}，{phrase}", f"{other}旁边的{phrase}"])
    if rng.random() < 0.2:
        clause = words.with_unknown(rng.choice(table["alone"]), "zh", rng)
        phrase = rng.choice([f"{phrase}{clause}", f"{phrase}，{clause}", f"{clause.removeprefix('在')}的{phrase}"])
    elif not unknown and rng.random() < 0.03:
        absent = rng.choice([i for i in range(len(world.things())) if i != index])
        phrase += rng.choice(["，没有{}", "，不要{}"]).format(world.things()[absent].zh[0])
    return phrase


def body(scene, groups, rng):
    if len(groups) == 1 and groups[0][1] == 1:
        return single(scene, rng)
    phrases = [thing(index, count, rng) for index, count in groups]
    if len(groups) == 1:
        text = phrases[0]
        if rng.random() < 0.2:
            text += words.with_unknown(rng.choice(words.tables()["zh"]["alone"]), "zh", rng)
        return text
    if len(groups) == 2:
        return two(scene.layout, groups, phrases, rng)
    return rng.choice(["、", "，", "、"]).join(phrases[:-1]) + rng.choice(["和", "和", "、", "，还有"]) + phrases[-1]


def keywords(groups, background, rng):
    """Names and the place or colour without any other word."""
    table = words.tables()["zh"]
    names = [bare_name(index, rng) if count == 1 else f"{count}{bare_name(index, rng)}" for index, count in groups]
    if background is None:
        return names
    if background in world.BACKGROUNDS:
        return [*names, world.BACKGROUNDS[background][0] + rng.choice(["", "背景"])]
    ground, time = places.split(background)
    hours = {"sunset": ["日落", "黄昏", "傍晚"], "night": ["夜晚", "夜景", "晚上"]}
    return [*names, rng.choice(table["scene"][ground]), *([rng.choice(hours[time])] if time in hours else [])]


def empty(ground, time, rng):
    """A prompt for a place with nothing in it."""
    table = words.tables()["zh"]
    scene = rng.choice(table["scene"][ground])
    if time == "sunset" and rng.random() < 0.35:
        return scene + rng.choice(["日落", "上的日落", "上空的夕阳", "的黄昏", "落日", "的晚霞"])
    if ground == "sky" and time == "night" and rng.random() < 0.6:
        return rng.choice(["星空", "夜空", "满天星星的夜空", "繁星", "一片星空"])
    if ground in ("sea", "sky") and time == "sunset" and rng.random() < 0.5:
        return rng.choice(["日落", "夕阳", "美丽的日落", "黄昏", "晚霞"])
    text = (rng.choice(table["adjectives"]) if rng.random() < 0.3 else "") + scene
    if time and (time != "day" or rng.random() < 0.15):
        hour = rng.choice(table["time"][time]).removesuffix("的")
        text = rng.choice([f"{hour}的{text}", f"{text}，{hour}", f"{hour}{text}"])
    elif time == "day" and ground != "sky" and rng.random() < 0.12:
        text = rng.choice(["蓝天下的{}", "蓝天白云下的{}", "{}和蓝天", "{}，蓝天白云"]).format(text)
    return text


def where(background, rng):
    """Phrases that name the place, the hour, or the colour."""
    table = words.tables()["zh"]
    if background in world.BACKGROUNDS:
        return [rng.choice(table["colour"]).format(c=world.BACKGROUNDS[background][0])]
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
        phrase = phrase.removesuffix("的")
        inner = phrase.removeprefix("在")
        if phrase.startswith("在"):
            text = rng.choice([text + phrase, f"{phrase}的{text}", f"{inner}的{text}", f"{text}，{inner}",
                               f"{inner}有{text}", f"{phrase}，{text}", f"{inner}，{text}"])
        else:
            text = rng.choice([f"{text}，{phrase}", f"{text}，{phrase}", f"{phrase}，{text}", f"{phrase}的{text}",
                               f"{text} {phrase}", f"{phrase}{text}"])
    return text


def introduced(text, rng):
    """A medium or a request before the prompt."""
    table = words.tables()["zh"]
    roll = rng.random()
    if roll < 0.1:
        medium = rng.choice(table["mediums"])
        return rng.choice([f"{text}的{medium}", f"{medium}，{text}", f"一幅{text}的{medium}", f"{medium}：{text}"])
    if roll < 0.17:
        return rng.choice(table["leads"]).format(text)
    if roll < 0.21:
        style = rng.choice(table["styles"])
        return rng.choice([f"{style}，{text}", f"{style}的{text}", f"{style}风格的{text}"])
    return text


def loosened(text, rng):
    """Spaces for commas, typing errors."""
    if rng.random() < 0.05:
        text = text.replace("，", " ")
    if rng.random() < 0.05:
        text = text.replace("的", "", 1)
    while rng.random() < 0.12:
        text = words.mistype_chinese(text, rng)
    return text
