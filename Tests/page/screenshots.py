#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Takes the pictures of the page that the documentation shows.

    screenshots.py [--inkstone PROGRAM] [--output Docs/images]
"""

import argparse
import pathlib
import time

from browser import Browser
from checks_draw import READY, RUNNING
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
    page.wait(RUNNING)
    page.wait(READY)


def settle(page):
    page.run("document.activeElement.blur(); scrollTo(0, 0)")
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=3, y=3)
    time.sleep(0.7)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(ROOT / ".build/release/inkstone"))
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "Docs/images")
    arguments = parser.parse_args()
    server = Server(pathlib.Path(arguments.inkstone).resolve()).start()
    browser = Browser()
    try:
        for prompt, seed in EARLIER:
            server.finish({"prompt": prompt, "seed": seed, "size": "128x128"})

        page = browser.page(server.url, width=1280, height=880, scale=1.5)
        page.wait(READY)
        draw(page, "a parrot, a coconut and a palm tree on light blue", 3)
        settle(page)
        page.picture(arguments.output / "page.png")
        page.close()

        page = browser.page(server.url, width=1280, height=880, scale=1.5, dark=True)
        page.wait(READY)
        draw(page, "a cat above a pizza", 14, 4)
        settle(page)
        page.picture(arguments.output / "page-dark.png")
        page.close()

        page = browser.page(server.url, width=1280, height=880, scale=1.5, language="zh-CN")
        page.wait(READY)
        draw(page, "黄色背景上的熊猫", 7)
        settle(page)
        page.picture(arguments.output / "page-zh.png")
        page.close()

        page = browser.page(server.url, width=390, height=844, scale=2, mobile=True)
        page.wait(READY)
        draw(page, "a dog on the left and a red car on the right", 12)
        settle(page)
        page.picture(arguments.output / "page-phone.png")
    finally:
        browser.close()
        server.close()


if __name__ == "__main__":
    main()
