# Part of Inkstone. Licence: see LICENSE.
"""Checks of how the page looks and reads: sizes, colours, languages, accessibility."""

import importlib.util
import pathlib
import re

from checks_draw import DONE, READY, RUNNING, stop

VIEWS = ("create", "gallery", "status", "benchmarks")
HAN = re.compile(r"[\u4e00-\u9fff]")


def axe_script():
    for package in ("axe_playwright_python", "axe_core_python"):
        spec = importlib.util.find_spec(package)
        if spec:
            return pathlib.Path(spec.origin).with_name("axe.min.js").read_text()
    raise SystemExit("axe-core is not installed: pip install --no-deps axe-playwright-python")


def narrow_and_wide(bench):
    """From 360 to 2560 pixels nothing sticks out, and what is pressed is large enough."""
    widths = (360, 412, 768, 859, 1024, 1280, 1920, 2560)
    page = bench.page()
    page.fill("#prompt", "a cat")
    page.click("#generate")
    page.wait(RUNNING)
    page.wait(DONE)
    for language in range(2):
        for width in widths:
            page.size(width, 900, mobile=width < 500)
            for view in VIEWS:
                page.run(f"location.hash = '{view}'")
                page.wait(f"!document.getElementById('{view}').hidden")
                page.run("new Promise((resume) => requestAnimationFrame(() => setTimeout(resume, 40)))")
                over = page.run("document.documentElement.scrollWidth") - width
                assert over <= 0, f"{view} is {over} px too wide at {width}"
                small = page.run("""[...document.querySelectorAll('button, a, input, select, summary')]
                    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.matches('.skip'))
                    .map((element) => [element.id || element.className, element.getBoundingClientRect()])
                    .filter(([, { width, height }]) => Math.min(width, height) < 16)
                    .map(([name, { width, height }]) => `${name} ${width}x${height}`)""")
                assert not small, f"{view} at {width}: {small[:4]}"
        page.run("location.hash = 'create'")
        page.click("#language")
        page.run("new Promise((resume) => setTimeout(resume, 200))")
    return f"{len(widths)} widths from {widths[0]} to {widths[-1]}, {len(VIEWS)} views, 2 languages"


def dark(bench):
    """Dark where the system is, light or dark where the user says so."""
    shade = "getComputedStyle(document.body).backgroundColor"
    page = bench.page(dark=True)
    assert sum(map(int, re.findall(r"\d+", page.run(shade))[:3])) < 120
    page.click("#theme")
    light = page.run(shade)
    assert sum(map(int, re.findall(r"\d+", light)[:3])) > 600, light
    page.reload()
    page.wait(READY)
    assert page.run(shade) == light
    page.click("#theme")
    assert page.run(shade) != light
    page.click("#theme")
    return "by system, by choice, kept over a reload"


def languages(bench):
    """Each language is whole: no text of the other, no key without a text."""
    counts = []
    for language, other in (("en-GB", HAN), ("zh-CN", None)):
        page = bench.page(language=language)
        for view in VIEWS:
            page.run(f"location.hash = '{view}'")
            page.run("new Promise((resume) => setTimeout(resume, 150))")
            texts = page.run("""[...document.querySelectorAll('[data-i18n], [data-i18n-label], [data-i18n-placeholder]')]
                .filter((element) => element.id !== 'language')
                .flatMap((element) => [element.dataset.i18n && element.textContent, element.dataset.i18nLabel
                    && element.ariaLabel, element.placeholder].filter(Boolean))""")
            for text in texts:
                assert not re.fullmatch(r"[a-z]+(\.[a-zA-Z]+)+", text), text
                if other:
                    assert not other.search(text), text
                else:
                    assert HAN.search(text) or re.fullmatch(r"[\d×–. ]*", text), text
        counts.append(len(texts))
        before = page.run("document.documentElement.lang")
        page.run("location.hash = 'create'")
        page.click("#language")
        page.wait(f"document.documentElement.lang !== '{before}'")
        page.reload()
        page.wait(READY)
        assert page.run("document.documentElement.lang") != before
        page.click("#language")
        page.run("localStorage.removeItem('inkstone.language')")
    return f"{counts[0]} texts in each, chosen by the browser, switched and kept"


def accessibility(bench):
    """axe-core finds no violation in any view, colour, language or width."""
    script = axe_script()
    passes = looks = 0
    rules = set()
    for dark, language, width in ((False, "en-GB", 1280), (True, "en-GB", 1280), (False, "zh-CN", 360), (True, "zh-CN", 360)):
        page = bench.page(dark=dark, language=language, width=width, mobile=width < 500)
        page.run("localStorage.removeItem('inkstone.theme')")
        page.run(script + "; 0")

        def look(what):
            nonlocal passes, looks
            # Colours change gently.
            page.run("new Promise((resume) => setTimeout(resume, 350))")
            result = page.run("""axe.run(document, { resultTypes: ['violations'] }).then(({ violations, passes }) => ({
                violations: violations.map((rule) => `${rule.id}: ${rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 140)
                    + ' ' + (node.any[0]?.message ?? '')).join(' | ')}`),
                passes: passes.map((rule) => rule.id) }))""")
            assert not result["violations"], f"{what}, {language}, {'dark' if dark else 'light'}: {result['violations'][:3]}"
            rules.update(result["passes"])
            passes += len(result["passes"])
            looks += 1

        look("empty")
        page.fill("#prompt", "a")
        page.wait("document.getElementById('prompt').hasAttribute('aria-controls')", 10, "the words")
        page.fill("#prompt", "a ca")
        page.key("ArrowDown")
        assert page.run("!document.getElementById('completions').hidden")
        look("completions")
        page.fill("#prompt", "masterpiece, best quality, a cat 和一只狗")
        page.fill("#guidance", "1")
        page.fill("#steps", "150")
        page.click("#generate")
        page.wait("document.getElementById('bar').value > 0")
        look("running")
        stop(page)
        page.fill("#steps", "4")
        page.fill("#guidance", "0")
        page.fill("#count", "2")
        page.click("#generate")
        page.wait(RUNNING)
        page.wait(READY)
        look("sheet")
        page.click("#sheet button")
        page.wait("!document.getElementById('result').hidden")
        page.click("#start")
        page.wait("!document.getElementById('source-set').hidden")
        page.click("#compare")
        page.click("#recall summary")
        look("result, comparison, start picture, recall")
        page.key("Escape")
        page.click("#source-remove")
        page.fill("#count", "1")
        page.fill("#prompt", "")
        page.click("#generate")
        page.wait("!document.getElementById('error').hidden")
        look("error")
        for view in VIEWS[1:]:
            page.run(f"location.hash = '{view}'")
            page.run("new Promise((resume) => setTimeout(resume, 400))")
            look(view)
    return f"{looks} states, {len(rules)} rules, {passes} passes, no violation"


CHECKS = [narrow_and_wide, dark, languages, accessibility]
