# Part of Inkstone. Licence: see LICENSE.
"""Plain prompts for scenes on plain colours, in English and Chinese: names, layout, colour.

The evaluation asks in these words; `speech.py` words the same scenes as people do.
"""

import random
import re

from . import world
from .words import unknown_words

CHINESE_SHARE = 0.5
# How often a prompt leaves the background out. White is what an unnamed background mostly means.
UNNAMED = {"white": 0.65}
UNNAMED_OTHERS = 0.06

# Names that take no "a": plurals and substances.
NO_ARTICLE = re.compile(
    r"^(jeans|glasses|scissors|eyes|cherries|grapes|headphones|french fries|fries|popcorn|bread|corn"
    r"|coffee|broccoli|cheese|honey|fire|flame|sushi|spaghetti|pasta|rice|noodles|tea|wine|milk"
    r"|peanuts|pancakes|gloves|socks|books|chocolate|candy|soda|sunglasses|bowling|tennis|beer"
    r"|garlic|ice cream|trousers|pants|sneakers|trainers|chips|toast|mice|women|men|pizza slices|spectacles"
    r"|eyeglasses|shades|mittens|boxing gloves|high heels|flowers|roses|dumplings|gyoza|boots|soup|stew"
    r"|lightning|ramen|green tea|red wine|sakura|gelato|icecream|soccer|maize|sunshine|santa|santa claus"
    r"|father christmas|saturn|planet earth|people|fast food|sweets|jewelry|footwear|fruit)$")
THE = {"earth", "sun", "moon", "full moon"}
ANIMALS = set("猫狗兔鼠猴熊蛙狼鸟鹅狐狮鸭鹰蝶蟹羊鸡虎龙象猪马牛鱼鲨鲸豚蜂虫蛛蛇龟鹿蚁螺鹤雀鹉狸虾")

# Words of praise and style that people stack up; they change nothing.
FILLERS = {
    "en": ["high quality", "detailed", "cute", "beautiful", "4k", "simple flat illustration", "emoji style",
           "digital art", "clean background", "vibrant colors", "soft light", "masterpiece", "best quality",
           "a nice picture for children", "sticker", "minimalist"],
    "zh": ["高质量", "细节丰富", "可爱", "漂亮", "4k", "扁平插画", "表情符号风格", "数字艺术", "干净的背景",
           "鲜艳的色彩", "柔和的光线", "杰作", "简约", "贴纸"],
}
LEADS = {"en": ["a picture of ", "an emoji of ", "draw ", "an image of ", "a photo of "],
         "zh": ["一张图片：", "画", "请画", "一幅画，", "一张照片，"]}


def english_thing(name, rng):
    if NO_ARTICLE.match(name):
        return name
    if name in THE and rng.random() < 0.6:
        return "the " + name
    if rng.random() < 0.12:
        return name
    vowel = name[0] in "aeiou" and not name.startswith(("uni", "ufo", "eu"))
    return ("an " if vowel else "a ") + name


def chinese_thing(name, rng):
    if name.startswith("一"):
        return name
    roll = rng.random()
    if roll < 0.22:
        return "一个" + name
    if roll < 0.4 and name[-1] in ANIMALS:
        return "一只" + name
    return name


def pick_name(names, rng):
    return names[0] if len(names) == 1 or rng.random() < 0.6 else rng.choice(names[1:])


def names_of(scene, language, rng, held_out):
    for index in scene.things:
        if index == world.unknown_index():
            words = unknown_words(language, held_out)
            yield (" " if language == "en" else "").join(rng.sample(words, rng.choice((1, 1, 2, 3))))
        else:
            yield pick_name(getattr(world.things()[index], language), rng)


def english(scene, colour, rng, held_out):
    names = list(names_of(scene, "en", rng, held_out))
    t = [english_thing(n, rng) for n in names]
    if scene.layout == "one":
        body = t[0]
    elif scene.layout == "small":
        size = rng.choice(["small", "tiny", "little"])
        body = f"{size} {names[0]}" if NO_ARTICLE.match(names[0]) else f"a {size} {names[0]}"
    elif scene.layout == "beside":
        body = rng.choice([
            f"{t[0]} and {t[1]}", f"{t[0]} and {t[1]}", f"{t[0]} next to {t[1]}", f"{t[0]} beside {t[1]}",
            f"{t[0]} on the left and {t[1]} on the right", f"{t[0]} to the left of {t[1]}",
            f"{t[1]} to the right of {t[0]}"])
    elif scene.layout == "above":
        body = rng.choice([
            f"{t[0]} above {t[1]}", f"{t[0]} above {t[1]}", f"{t[1]} below {t[0]}", f"{t[1]} under {t[0]}",
            f"{t[0]} over {t[1]}", f"{t[0]} at the top and {t[1]} at the bottom"])
    else:
        body = rng.choice([f"{t[0]}, {t[1]} and {t[2]}", f"{t[0]}, {t[1]}, {t[2]}",
                           f"{t[0]}, {t[1]} and {t[2]}", f"{t[0]} above {t[1]} and {t[2]}"])
    if colour:
        article = "an" if colour[0] in "aeiou" else "a"
        body = rng.choice([f"{body} on {article} {colour} background", f"{body}, {colour} background",
                           f"{body} on {colour}", f"{body} with {article} {colour} background",
                           f"{colour} background, {body}"])
    return body


def chinese(scene, colour, rng, held_out):
    names = list(names_of(scene, "zh", rng, held_out))
    t = [chinese_thing(n, rng) for n in names]
    if scene.layout == "one":
        body = t[0]
    elif scene.layout == "small":
        body = rng.choice(["小小的", "一个小", "小"]) + names[0]
    elif scene.layout == "beside":
        body = rng.choice([f"{t[0]}和{t[1]}", f"{t[0]}和{t[1]}", f"{t[0]}与{t[1]}", f"左边是{t[0]}，右边是{t[1]}",
                           f"{t[0]}在左边，{t[1]}在右边", f"{t[0]}在{t[1]}左边", f"{t[1]}在{t[0]}右边"])
    elif scene.layout == "above":
        body = rng.choice([f"{t[0]}在{t[1]}上方", f"{t[0]}在{t[1]}上面", f"{t[1]}在{t[0]}下方",
                           f"{t[1]}在{t[0]}下面", f"上面是{t[0]}，下面是{t[1]}", f"上方是{t[0]}，下方是{t[1]}"])
    else:
        body = rng.choice([f"{t[0]}、{t[1]}和{t[2]}", f"{t[0]}，{t[1]}和{t[2]}", f"{t[0]}、{t[1]}、{t[2]}",
                           f"{t[0]}在{t[1]}和{t[2]}上方"])
    if colour:
        colour = world.BACKGROUNDS[colour][0]
        forms = [f"{body}，{colour}背景", f"{colour}背景，{body}"]
        if scene.layout in ("one", "small"):
            forms += [f"{colour}背景上的{body}", f"{colour}背景上的{body}"]
        body = rng.choice(forms)
    return body


def names_background(scene, rng):
    """Whether a prompt says what is behind the things; a place is always named."""
    if scene.background not in world.BACKGROUNDS:
        return True
    return rng.random() >= UNNAMED.get(scene.background, UNNAMED_OTHERS)


def caption(scene, rng: random.Random, language=None, named=None, plain=False, held_out=False):
    """`(prompt, whether it names the background)`. `plain` leaves out leads, fillers and full stops."""
    language = language or ("zh" if rng.random() < CHINESE_SHARE else "en")
    named = names_background(scene, rng) if named is None else named
    write = chinese if language == "zh" else english
    text = write(scene, scene.background if named else None, rng, held_out)
    if plain:
        return text, named
    comma, stop = ("，", "。") if language == "zh" else (", ", ".")
    if rng.random() < 0.1:
        text = rng.choice(LEADS[language]) + text
    if rng.random() < 0.06:
        text += comma + rng.choice(FILLERS[language])
    if language == "en" and rng.random() < 0.2:
        text = text[0].upper() + text[1:]
    return (text + stop if rng.random() < 0.1 else text), named
