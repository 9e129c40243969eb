#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Takes the pictures of the page that the documentation shows.

    screenshots.py [--inkstone PROGRAM] [--output Docs/images] [--only NAME,...]

They are JPEG files: of the size of PNG files they would be most of the repository.
"""

import argparse
import io
import json
import pathlib
import time

from PIL import Image

from browser import Browser
from checks_draw import READY
from server import ROOT, Server

EARLIER = [
    ("蓝色背景上的红苹果", 3), ("a fire truck on a green background", 1),
    ("黑色背景，火箭在地球上方", 5), ("a crown above a key and a ring on a purple background", 2),
    ("香蕉、足球和吉他，浅绿色背景", 4), ("a penguin on a light blue background", 8), ("粉色背景，戒指和玫瑰", 6),
    ("a teapot and a candle, beige background", 9),
]


def draw(page, prompt, seed, count=1):
    page.fill("#prompt", prompt)
    page.fill("#seed", str(seed))
    page.fill("#count", str(count))
    page.run("document.getElementById('generate').click()")
    # However fast it was: the prompt beside the picture is the new one's.
    page.wait(f"document.getElementById('said-text').textContent === {json.dumps(prompt)} && {READY}")


def save(page, path):
    """What the tab shows, as a file."""
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=3, y=3)
    # Colours change gently.
    time.sleep(0.7)
    shot = io.BytesIO(page.screenshot())
    Image.open(shot).convert("RGB").save(path, quality=76, optimize=True)


def top(page):
    page.run("""(() => {
        document.getElementById('advanced').open = false;
        document.activeElement.blur();
        scrollTo(0, 0);
        document.querySelector('.rail').scrollTo(0, 0);
    })()""")


def light(page):
    draw(page, "a parrot, a coconut and a palm tree on light blue", 3)
    top(page)


def dark(page):
    draw(page, "a snail on a purple background", 20, 4)
    top(page)


def chinese(page):
    draw(page, "黄色背景上的熊猫", 7)
    top(page)


def phone(page):
    draw(page, "a dog on the left and a red car on the right", 12)
    top(page)


def queue(page):
    """Four jobs, one of which is on the stage."""
    draw(page, "a snail on a mint background", 21)
    for name, value in (("steps", 200), ("width", 512), ("height", 512)):
        page.fill(f"#{name}", str(value))
    for prompt in ("a lighthouse at night", "a fox in the snow", "three balloons on light blue", "a cactus in a pot"):
        page.fill("#prompt", prompt)
        page.run("document.getElementById('generate').click()")
    page.wait("document.querySelectorAll('#queue-list li').length === 4")
    page.wait("/%/.test(document.getElementById('queue-list').textContent)")
    page.click("#history li:nth-child(2) button")
    top(page)
    page.click("#queue > summary")


def details(page):
    draw(page, "a lemon and a strawberry on a white background", 5)
    top(page)
    page.run("document.getElementById('details').click()")
    page.wait("document.querySelectorAll('#details-drawer pre').length === 1")


def sheet(page):
    """Steps across, guidance down."""
    page.fill("#prompt", "a red apple on a blue background")
    page.fill("#seed", "4")
    page.run("document.getElementById('modes-slot').closest('details')?.setAttribute('open', '')")
    page.wait("!!document.getElementById('grid-open')")
    top(page)
    page.run("document.getElementById('grid-open').click()")
    page.wait("document.getElementById('grid')?.open")
    for selector, value in (("x", "steps"), ("x-values", "1, 2, 4, 8"), ("y", "guidance"), ("y-values", "0, 2, 4")):
        page.run(f"""(() => {{
            const field = document.getElementById('grid-{selector}');
            field.value = '{value}';
            for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, {{ bubbles: true }}));
        }})()""")
    page.click("#grid-start")
    page.wait("!document.getElementById('grid-save').hidden", 120)


WIDE = {"width": 1280, "height": 880, "scale": 1.5}
#: The file, what is done, and the tab.
SHOTS = [
    ("page", light, WIDE), ("page-dark", dark, {**WIDE, "dark": True}), ("page-zh", chinese, {**WIDE, "language": "zh-CN"}),
    ("page-phone", phone, {"width": 390, "height": 844, "scale": 2, "mobile": True}), ("page-details", details, WIDE),
    ("page-sheet", sheet, {**WIDE, "height": 960}), ("page-queue", queue, {**WIDE, "dark": True}),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(ROOT / ".build/release/inkstone"))
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "Docs/images")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    wanted = [name for name in arguments.only.split(",") if name]
    server = Server(pathlib.Path(arguments.inkstone).resolve()).start()
    browser = Browser()
    try:
        for prompt, seed in EARLIER:
            server.finish({"prompt": prompt, "seed": seed, "size": "128x128"})
        for name, work, options in SHOTS:
            if wanted and name not in wanted:
                continue
            page = browser.page(server.url, **options)
            page.wait(READY)
            work(page)
            save(page, arguments.output / f"{name}.jpg")
            page.close()
    finally:
        browser.close()
        server.close()


if __name__ == "__main__":
    main()
