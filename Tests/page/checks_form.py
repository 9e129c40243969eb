# Part of Inkstone. Licence: see LICENSE.
"""Checks of the form: prompt, parameters, pictures as input."""

import io
import json
import re
import time

from PIL import Image

from checks_draw import DONE, READY, RUNNING, pixels, shown_job

FIELDS = ("prompt", "negative", "width", "height", "steps", "guidance", "seed")


def fields(page):
    return {name: page.run(f"document.getElementById('{name}').value") for name in FIELDS}


def drag(page, path, x, y):
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "dragOver", "drop"):
        page.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)
        time.sleep(0.1)


def restore(bench):
    """A saved picture that is dropped on the page puts all its fields back."""
    page = bench.page()
    wanted = {"prompt": "a small snail, 安静", "negative": "a ring", "width": "192", "height": "128",
              "steps": "11", "guidance": "2.5", "seed": "77"}
    page.fill("#guidance", wanted["guidance"])
    for name, value in wanted.items():
        page.fill(f"#{name}", value)
    page.click("#generate")
    page.wait(RUNNING)
    page.wait(DONE)
    job, number = shown_job(page, bench.server)
    file = bench.folder / "saved.png"
    file.write_bytes(bench.server.ask(job["images"][number]["url"].lstrip("/"), raw=True))
    fresh = bench.page()
    fresh.run("localStorage.clear()")
    fresh.reload()
    fresh.wait(READY)
    before = fields(fresh)
    assert all(before[name] != wanted[name] for name in wanted if name not in ("negative", "width", "height"))
    drag(fresh, file, 300, 300)
    fresh.wait("!document.getElementById('note').hidden", 20)
    assert fields(fresh) == wanted, fields(fresh)
    fresh.click("#generate")
    fresh.wait(RUNNING)
    fresh.wait(DONE)
    again, number = shown_job(fresh, bench.server)
    assert again["images"][number]["pixel_sha256"] == job["images"][0]["pixel_sha256"]
    return f"{len(wanted)} fields, and the same pixels when drawn again"


def restore_loras(bench):
    """A saved picture's LoRA files come back with both scales; files that cannot be used are listed with the reason."""
    wanted = [{"name": "pixel", "scale": 0.75, "text_scale": 0.25}, {"name": "sketch", "scale": -0.5}]
    job = bench.server.finish({"prompt": "a cat", "steps": 1, "seed": 7, "loras": wanted})
    file = bench.folder / "loras.png"
    file.write_bytes(bench.server.ask(f"api/jobs/{job['id']}/images/0", raw=True))
    unusable = bench.server.data / "loras" / "old.ckpt"
    unusable.parent.mkdir(exist_ok=True)
    unusable.write_bytes(b"")
    try:
        page = bench.page()
        page.wait("document.getElementById('loras').textContent.includes('old.ckpt')")
        line = page.run("document.querySelector('#loras li:last-child').textContent")
        drag(page, file, 300, 300)
        page.wait("!document.getElementById('note').hidden", 20)
        assert page.run("document.getElementById('prompt').value") == "a cat"
        page.click("#generate")
        page.wait(RUNNING)
        page.wait(DONE)
        again, _ = shown_job(page, bench.server)
        assert again["loras"] == wanted, again["loras"]
        # Moving the slider sets both scales.
        page.run("""(() => {
            const slider = document.querySelector('#loras input[type=range]');
            slider.value = 1.25;
            slider.dispatchEvent(new Event('input'));
        })()""")
        page.click("#generate")
        page.wait(RUNNING)
        page.wait(DONE)
        moved, _ = shown_job(page, bench.server)
        assert moved["loras"][0] == {"name": "pixel", "scale": 1.25}, moved["loras"]
    finally:
        unusable.unlink()
    return f"both scales; \"{line}\""


def start_picture(bench):
    """A picture that is dropped on its half, chosen from the stage or pasted becomes the start."""
    page = bench.page()
    picture = bench.folder / "start.png"
    Image.new("RGB", (300, 200), (40, 90, 200)).save(picture)
    drag(page, picture, page.run("innerWidth") - 200, 300)
    page.wait("!document.getElementById('source-set').hidden", 20)
    size = page.run("[document.getElementById('width').value, document.getElementById('height').value].join('x')")
    assert size == "160x112", size
    page.fill("#prompt", "a tiger on a green background")
    page.click("#generate")
    page.wait(RUNNING)
    page.wait(DONE)
    job, _ = shown_job(page, bench.server)
    assert job["strength"] == 0.6, job
    kept = Image.open(io.BytesIO(bench.server.ask(f"api/jobs/{job['id']}/source", raw=True)))
    assert kept.getpixel((5, 5)) == (40, 90, 200), kept.getpixel((5, 5))
    page.click("#source-remove")
    assert page.run("document.getElementById('source-set').hidden")
    page.click("#start")
    page.wait("!document.getElementById('source-set').hidden")
    page.click("#source-remove")
    page.run("""(async () => {
        const canvas = new OffscreenCanvas(64, 64);
        canvas.getContext('2d').fillRect(0, 0, 64, 64);
        const data = new DataTransfer();
        data.items.add(new File([await canvas.convertToBlob()], 'pasted.png', { type: 'image/png' }));
        document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
    })()""")
    page.wait("!document.getElementById('source-set').hidden")
    page.click("#source-remove")
    # Use settings brings the start back.
    page.click("#reuse")
    page.wait("!document.getElementById('source-set').hidden")
    assert page.run("document.getElementById('strength').value") == "0.6"
    page.click("#source-remove")
    return f"dropped at {size}, strength 0.6; also from the stage, pasted and reused"


def hints(bench):
    """What does not help this model is said quietly, with tokens, time and memory before the click."""
    # What a picture takes is known after the first one.
    bench.server.finish({"prompt": "a dog", "size": "128x128", "steps": 8})
    page = bench.page()

    def told(prompt):
        page.fill("#prompt", prompt)
        time.sleep(0.1)
        return page.run("[...document.querySelectorAll('#hints li')].map((item) => item.textContent)")

    assert told("a red apple on a blue background") == []
    assert "masterpiece, best quality" in told("masterpiece, best quality, a cat")[0]
    assert "杰作" in told("杰作，最佳质量，一只猫")[0]
    assert "languages" in told("a cat 和一只狗 on a table")[0]
    assert told("猫的招牌上写着“OPEN NOW”") == []
    assert "(cat:1.3)" in told("a (cat:1.3)")[0]
    assert "LoRA" in told("a cat <lora:pixel:1>")[0]
    words = words_of(bench)
    foreign = "[...document.querySelectorAll('#hints li')].map((item) => item.textContent)" \
        ".find((text) => text.includes('does not know'))"
    for prompt, language in (("quixotic quandaries", "en"), ("通货膨胀", "zh")):
        page.fill("#prompt", prompt)
        unknown = page.wait(foreign, 10, f"the hint for {prompt}")
        named = re.split(r"[、或]|, or |, | or ", unknown.split("such as ")[1].rstrip("."))
        assert len(named) == 3 and set(named) <= set(words[language]), unknown
        page.type("!")
        assert page.run(foreign) == unknown, "the words changed while typing"
    assert told("quixotic dogs!") == []
    page.fill("#prompt", "word " * 600)
    long = page.wait("[...document.querySelectorAll('#hints li')].map((item) => item.textContent)"
                     ".find((text) => /512/.test(text))", 10)
    page.fill("#prompt", "a cat")
    expected = bench.server.ask("api/estimate", {"prompt": "a cat", "size": "128x128", "steps": 8})
    count = expected["prompt_tokens"]
    tokens = page.wait("(() => { const { textContent } = document.getElementById('tokens');"
                       f" return textContent.startsWith('{count} ') && textContent; }})()", 10)
    forecast = page.wait("(() => { const { textContent } = document.getElementById('forecast');"
                         " return /about/.test(textContent) && textContent; })()")
    job = bench.server.finish({"prompt": "a cat", "size": "128x128", "steps": 8})
    taken = job["finished"] - job["started"]
    return (f"seven kinds; \"{unknown}\"; \"{tokens}\"; \"{forecast}\", {expected['seconds']:.2f} s foreseen and"
            f" {taken:.2f} s taken; \"{long}\"")


def words_of(bench):
    """The words of the embedded model, by language."""
    return bench.server.ask("api/models/emoji-nano/words")


def completion(bench):
    """Known words complete what is typed: by keys and by pointer, in both languages, not while composing."""
    page = bench.page()
    words = words_of(bench)
    ready = "document.getElementById('prompt').getAttribute('aria-controls') === 'completions'"
    assert not page.run(ready), "the words are loaded before the prompt has the focus"
    page.fill("#prompt", "a")
    page.wait(ready, 10, "the words")

    def offered(prompt=None):
        if prompt is not None:
            page.fill("#prompt", prompt)
        return page.run("[...document.querySelectorAll('#completions:not([hidden]) li')]"
                        ".map((item) => item.textContent)")

    value = lambda: page.run("document.getElementById('prompt').value")
    focus = lambda: page.run("document.activeElement.id")
    active = lambda: page.run("document.getElementById('prompt').getAttribute('aria-activedescendant')")
    first = offered("a ca")
    assert 2 < len(first) <= 8 and all(word.startswith("ca") and word in words["en"] for word in first), first
    assert active() is None
    page.key("ArrowDown")
    page.key("ArrowDown")
    page.key("ArrowUp")
    assert active() == "completion-0"
    assert page.run("document.getElementById('completion-0').ariaSelected") == "true"
    page.key("Enter")
    assert value() == f"a {first[0]}" and offered() == [] and active() is None
    offered("Two Ca")
    page.key("ArrowDown")
    page.key("Tab")
    assert value() == f"Two {first[0].capitalize()}" and focus() == "prompt"
    offered("a ca")
    page.click("#completions li:nth-child(2)")
    assert value() == f"a {first[1]}" and focus() == "prompt" and offered() == []
    assert offered("a ca")
    page.key("Escape")
    assert offered() == [] and value() == "a ca" and focus() == "prompt"
    assert offered("a ca")
    page.key("Tab")
    assert offered() == [] and value() == "a ca" and focus() != "prompt"
    assert "unicorn" in offered("corn") and offered("red ca")[0] == "red car"
    assert offered("c") == offered("the") == offered("a walrus") == offered("catalogue") == []
    chinese = offered("两只猫")
    assert "小猫" in chinese and set(chinese) <= set(words["zh"]), chinese
    page.key("ArrowDown")
    page.key("Enter")
    assert value() == f"两只{chinese[0]}"
    # Letters of an input method are not words.
    offered("a dog, ")
    page.call("Input.imeSetComposition", text="ca", selectionStart=2, selectionEnd=2)
    assert offered() == [] and value() == "a dog, ca"
    page.type("猫")
    assert value() == "a dog, 猫" and "小猫" in offered()
    for width in (360, 1280):
        page.size(width, 900, mobile=width < 500)
        assert offered("a ca")
        bottom, top = page.run("""['completions', 'generate'].map((id, index) => {
            const { bottom, top } = document.getElementById(id).getBoundingClientRect();
            return index === 0 ? bottom : top;
        })""")
        assert bottom <= top, f"the list covers the button at {width}"
    # A model that lists no words.
    bare = bench.page()
    bare.run("""(() => {
        const send = window.fetch;
        window.fetch = (url, options) => String(url).endsWith('/words')
            ? Promise.resolve(new Response('{}')) : send(url, options);
    })()""")
    bare.fill("#prompt", "a ca")
    time.sleep(0.5)
    bare.fill("#prompt", "quixotic ca")
    time.sleep(1.5)
    assert not bare.run(ready) and bare.run("document.getElementById('completions').hidden")
    assert bare.run("document.getElementById('hints').children.length") == 0
    return (f"{len(words['en'])} English and {len(words['zh'])} Chinese words; \"ca\": {', '.join(first)};"
            f" \"猫\": {'、'.join(chinese)}")


def parameters(bench):
    """Presets, shapes, snapping that is said, seeds that are kept, rolled and taken again, recall."""
    page = bench.page()
    value = lambda name: page.run(f"document.getElementById('{name}').value")
    page.click("#presets button:last-child")
    assert (value("steps"), value("guidance")) == ("28", "5")
    assert "28 steps" in page.run("document.querySelector('#presets button:last-child').title")
    assert page.run("!document.getElementById('negative').disabled")
    page.click("#presets button:first-child")
    assert (value("steps"), value("guidance")) == ("8", "0")
    assert page.run("document.getElementById('negative').disabled")
    shapes = {}
    for index in range(7):
        page.click(f"#ratios button:nth-child({index + 1})")
        shapes[page.run(f"document.querySelectorAll('#ratios button')[{index}].textContent")] = \
            (int(value("width")), int(value("height")))
        assert page.run(f"document.querySelectorAll('#ratios button')[{index}].ariaPressed") == "true"
    for name, (width, height) in shapes.items():
        across, down = map(int, name.split(":"))
        assert width % 16 == height % 16 == 0
        assert abs(width / height / (across / down) - 1) < 0.2, (name, width, height)
    page.fill("#width", "500")
    page.key("Tab")
    note = page.run("document.getElementById('size-note').textContent")
    assert value("width") == "496" and "500" in note and "496" in note, note
    page.fill("#width", "128")
    page.fill("#height", "128")
    seeds = []
    page.fill("#prompt", "a cat")
    for _ in range(2):
        page.click("#generate")
        page.wait(RUNNING)
        page.wait(DONE)
        seeds.append(shown_job(page, bench.server)[0]["seed"])
    assert seeds[0] != seeds[1], "the seed was not chosen again"
    page.click("#dice")
    assert int(value("seed")) != seeds[1]
    page.click("#again")
    assert int(value("seed")) == seeds[1]
    assert page.run("document.getElementById('lock').ariaPressed") == "true"
    page.click("#generate")
    page.wait(RUNNING)
    page.wait(DONE)
    assert shown_job(page, bench.server)[0]["seed"] == seeds[1]
    page.click("#lock")
    page.fill("#prompt", "a dog")
    page.click("#generate")
    page.wait(RUNNING)
    page.wait(DONE)
    page.fill("#prompt", "half a thought")
    page.key("ArrowUp", alt=True)
    assert value("prompt") == "a dog"
    page.key("ArrowUp", alt=True)
    assert value("prompt") == "a cat"
    page.key("ArrowDown", alt=True)
    page.key("ArrowDown", alt=True)
    assert value("prompt") == "half a thought"
    page.click("#recall summary")
    page.click("#recall-list li:nth-child(2) button")
    assert value("prompt") == "a cat"
    return f"2 presets, {len(shapes)} shapes, \"{note}\", recall by keys and list"


def keyboard(bench):
    """Everything by keys alone, from the address bar to the second picture of a sheet."""
    page = bench.page()
    focus = lambda: page.run("document.activeElement.id || document.activeElement.textContent.trim().slice(0, 30)")
    page.key("Tab")
    assert focus() == "skip"
    page.key("Enter")
    page.key("Tab")
    page.wait("document.activeElement.id === 'prompt' || !!document.activeElement.closest('#recall, #examples-box')")
    page.run("document.getElementById('prompt').focus()")
    page.type("a crown above a key")
    stops = []
    for _ in range(60):
        page.key("Tab")
        stops.append(focus())
        outline = page.run("""(() => {
            const style = getComputedStyle(document.activeElement);
            return style.outlineStyle !== 'none' || style.boxShadow !== 'none';
        })()""")
        assert outline or stops[-1] in ("", "Inkstone"), f"no sign of the focus on {stops[-1]}"
        if page.run("document.activeElement.matches('#advanced summary')"):
            page.key("Enter")
        if stops[-1] == "generate":
            break
    for wanted in ("source-choose", "count", "width", "swap", "height", "steps", "guidance", "seed", "dice", "lock"):
        assert wanted in stops, f"{wanted} cannot be reached"
    page.fill("#count", "2")
    page.key("Enter", control=True)
    page.wait(RUNNING)
    page.wait(READY)
    assert page.run("!document.getElementById('sheet').hidden")
    page.run("document.querySelector('#sheet button:nth-child(2)').focus()")
    page.key("Enter")
    page.wait("!document.getElementById('result').hidden")
    seed = shown_job(page, bench.server)
    assert seed[1] == 1
    page.run("document.getElementById('compare').focus()")
    page.key(" ")
    page.wait("!document.getElementById('divider').hidden")
    page.run("document.getElementById('divider').focus()")
    cut = lambda: float(page.run("document.getElementById('frame').style.getPropertyValue('--cut')").rstrip("%"))
    before = cut()
    for _ in range(6):
        page.key("ArrowRight")
    assert cut() == before + 3, cut()
    page.run("document.getElementById('compare').focus()")
    page.key("Enter")
    assert page.run("document.getElementById('divider').hidden")
    page.fill("#count", "1")
    return f"{len(stops)} stops from prompt to the button, all with a visible focus"


def sheet(bench):
    """Several seeds in one sheet, which can be saved; parameters of one can be copied."""
    page = bench.page()
    page.fill("#prompt", "a teapot and a candle, beige background")
    page.fill("#count", "4")
    page.click("#generate")
    page.wait(RUNNING)
    page.wait(READY)
    job = bench.server.ask("api/jobs?limit=1")["data"][0]
    seeds = page.run("[...document.querySelectorAll('#sheet span')].map((caption) => Number(caption.textContent))")
    assert seeds == [image["seed"] for image in job["images"]], seeds
    folder = bench.folder / "sheets"
    folder.mkdir()
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    page.click("#sheet-save")
    end = time.monotonic() + 20
    while not (files := list(folder.glob("*.png"))):
        assert time.monotonic() < end, "no file"
        time.sleep(0.05)
    saved = Image.open(files[0])
    first = Image.open(io.BytesIO(bench.server.ask(job["images"][0]["url"].lstrip("/"), raw=True))).convert("RGB")
    assert saved.convert("RGB").crop((8, 8, 136, 136)).tobytes() == first.tobytes()
    page.click("#sheet button:nth-child(3)")
    page.wait("!document.getElementById('result').hidden")
    page.run("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    page.click("#copy")
    text = page.wait("window.copied")
    assert f"Seed: {seeds[2]}" in text and text.startswith("a teapot"), text
    page.click("#back")
    page.wait("!document.getElementById('sheet').hidden")
    page.fill("#count", "1")
    return f"4 seeds, saved as {saved.width}x{saved.height}, {len(text)} characters copied"


CHECKS = [restore, restore_loras, start_picture, hints, completion, parameters, keyboard, sheet]
