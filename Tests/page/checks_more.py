# Part of Inkstone. Licence: see LICENSE.
"""Checks of what is loaded after the first view: samplers, second pass, details, full screen, variations, masks,
LoRA words, styles, several prompts and sheets."""

import base64
import io
import json
import time
import zipfile

from PIL import Image

from checks_draw import DONE, READY, RUNNING, pixels, shown_job
from checks_form import drag
from checks_look import axe_script

MORE = "document.querySelectorAll('#sampler option').length > 5"
# What the page sends as jobs, without the pixels.
SPY = """(() => {
    window.sent = [];
    const send = window.fetch;
    window.fetch = (url, options) => {
        if (String(url).endsWith('/api/jobs') && options?.body) sent.push(JSON.parse(options.body));
        return send(url, options);
    };
})()"""
# The next file that the page would save.
CATCH = """(() => {
    window.saved = null;
    const create = URL.createObjectURL;
    URL.createObjectURL = (blob) => { window.saved = blob; return create(blob); };
})()"""


def ready(bench, **options):
    page = bench.page(**options)
    page.wait(MORE, 30, "the further fields")
    page.run(SPY)
    return page


def text(page, selector):
    return page.run(f"document.querySelector({json.dumps(selector)}).textContent")


def choose(page, selector, value):
    page.run(f"""(() => {{
        const field = document.querySelector({json.dumps(selector)});
        field.value = {json.dumps(str(value))};
        for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, {{ bubbles: true }}));
    }})()""")


def unfold(page, selector):
    page.run(f"""(() => {{
        for (let box = document.querySelector({json.dumps(selector)}); box; box = box.parentElement) {{
            if (box.tagName === 'DETAILS') box.open = true;
        }}
    }})()""")


def put(page, selector, path):
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    field = page.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=field, files=[str(path)])


def draw(page, prompt=None):
    """Draws what the form says; returns what was sent."""
    if prompt is not None:
        page.fill("#prompt", prompt)
    count = page.run("sent.length")
    page.run("document.getElementById('generate').click()")
    page.wait(f"sent.length > {count}")
    page.wait(READY)
    page.wait(DONE)
    return page.run("sent.at(-1)")


def saved(page):
    data = page.run("""new Promise((resolve) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result);
        reader.readAsDataURL(window.saved);
    })""")
    return base64.b64decode(data.split(",", 1)[1])


def sampler(bench):
    """A sampler and a schedule are chosen, cost more before the click where they do, and come back from a file."""
    page = ready(bench)
    plain = draw(page, "a red apple on a blue background")
    assert "sampler" not in plain and "scheduler" not in plain, plain
    unfold(page, "#sampler")
    time.sleep(0.6)
    before = text(page, "#forecast")
    choose(page, "#sampler", "heun")
    choose(page, "#scheduler", "karras")
    choose(page, "#shift", "2.5")
    page.wait("document.getElementById('sampler-cost').textContent.includes('15')")
    page.wait(f"document.getElementById('forecast').textContent !== {json.dumps(before)}", 10, "another forecast")
    asked = draw(page)
    assert (asked["sampler"], asked["scheduler"], asked["shift"]) == ("heun", "karras", 2.5), asked
    job, number = shown_job(page, bench.server)
    assert job["evaluations"] == 15, job
    file = bench.folder / "heun.png"
    file.write_bytes(bench.server.ask(job["images"][number]["url"].lstrip("/"), raw=True))
    fresh = ready(bench)
    assert fresh.run("document.getElementById('sampler').value") == "euler"
    drag(fresh, file, 300, 300)
    fresh.wait("document.getElementById('sampler').value === 'heun'", 20)
    fresh.click("#note-undo")
    fresh.wait("document.getElementById('sampler').value === 'euler' && document.getElementById('shift').value === ''", 5)
    drag(fresh, file, 300, 300)
    fresh.wait("document.getElementById('sampler').value === 'heun'", 20)
    again = draw(fresh)
    assert (again["sampler"], again["scheduler"], again["shift"]) == ("heun", "karras", 2.5), again
    twin, number = shown_job(fresh, bench.server)
    assert twin["images"][number]["pixel_sha256"] == job["images"][0]["pixel_sha256"]
    # A wrong number is said at its field.
    choose(fresh, "#shift", "900")
    fresh.run("document.getElementById('generate').click()")
    fresh.wait("document.activeElement.id === 'shift'")
    return "heun, karras, shift 2.5: 15 evaluations said before the click, the same pixels from the file"


def second_pass(bench):
    """A second pass makes a larger picture; too large a one is refused before the click."""
    page = ready(bench)
    page.fill("#seed", "7")
    if page.run("document.getElementById('lock').ariaPressed") == "false":
        page.click("#lock")
    page.click("#hires")
    choose(page, "#hires-factor", "1.5")
    page.wait("document.getElementById('hires-size').textContent.includes('192')")
    asked = draw(page, "a cat")
    assert asked["hires"]["width"] == 192 and asked["hires"]["upscaler"] == "lanczos", asked
    job, number = shown_job(page, bench.server)
    picture = Image.open(io.BytesIO(bench.server.ask(job["images"][number]["url"].lstrip("/"), raw=True)))
    assert picture.size == (192, 192) and job["size"] == "128x128", (picture.size, job["size"])
    page.click("#hires")
    draw(page)
    choose(page, "#sampler", "euler")
    page.click("#reuse")
    page.wait("!document.getElementById('hires').checked")
    unfold(page, "#seeds")
    choose(page, "#variation", "0.4")
    choose(page, "#variation-seed", "99")
    varied = draw(page)
    assert (varied["variation_strength"], varied["variation_seed"]) == (0.4, "99"), varied
    page.click("#hires")
    choose(page, "#hires-factor", "4")
    choose(page, "#width", "512")
    count = page.run("sent.length")
    page.run("document.getElementById('generate').click()")
    page.wait("document.activeElement.id === 'hires-factor'")
    assert page.run("sent.length") == count
    return "192 × 192 from 128 × 128, variation 0.4 of seed 99, 2048 refused"


def details(bench):
    """Everything about a picture is in a drawer, a file that is dropped is read there, fields can be copied."""
    page = ready(bench)
    draw(page, "a green apple")
    job, number = shown_job(page, bench.server)
    page.click("#details")
    page.wait("document.getElementById('details-drawer')?.open")
    page.wait("document.querySelectorAll('#details-drawer pre').length === 1")
    shown = text(page, ".details-list")
    for value in ("a green apple", str(job["images"][number]["seed"]), job["images"][number]["pixel_sha256"], job["id"]):
        assert value in shown, value
    page.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.click(".copy-one")
    page.wait("document.querySelector('.copy-one').textContent === 'Copied'")
    assert page.run("navigator.clipboard.readText()") == "a green apple"
    page.key("Escape")
    page.wait("!document.getElementById('details-drawer').open")
    assert page.run("document.activeElement.id") == "details", "the focus returns"
    # A file of another program, with what it says.
    from PIL.PngImagePlugin import PngInfo
    other = bench.folder / "other.png"
    info = PngInfo()
    info.add_text("parameters", "a fox\nNegative prompt: blur\nSteps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 5, Size: 512x768")
    info.add_text("workflow", "{\"nodes\": []}")
    Image.new("RGB", (40, 60), (9, 90, 9)).save(other, pnginfo=info)
    page.click("#to-gallery")
    page.wait("document.getElementById('reader')?.offsetWidth > 0")
    put(page, "#reader-file", other)
    page.wait("document.getElementById('details-drawer').open")
    page.wait("document.querySelectorAll('#details-drawer pre').length === 2")
    shown = text(page, ".details-list")
    for value in ("other.png", "40 × 60", "a fox", "blur", "DPM++ 2M", "512x768"):
        assert value in shown, (value, shown)
    return "prompt copied; another program's file shows its parameters and its workflow"


def full_screen(bench):
    """Full screen: arrows turn pages, + zooms, dragging pans, S gives a star, Escape leaves."""
    page = ready(bench)
    for prompt in ("a cat", "a dog"):
        draw(page, prompt)
    page.run("document.activeElement.blur()")
    page.run("document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'f', bubbles: true }))")
    page.wait("document.getElementById('viewer')?.open")
    alt = "document.querySelector('#viewer img').alt"
    page.wait(f"{alt} === 'a dog'")
    page.key("ArrowRight")
    page.wait(f"{alt} === 'a cat'")
    page.key("ArrowLeft")
    page.wait(f"{alt} === 'a dog'")
    place = "getComputedStyle(document.querySelector('#viewer img')).transform"
    page.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: '+', bubbles: true }))")
    page.wait(f"{place} === 'matrix(1.5, 0, 0, 1.5, 0, 0)'")
    for kind, x in (("mousePressed", 600), ("mouseMoved", 500), ("mouseReleased", 500)):
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=300, button="left", buttons=1, clickCount=1)
    page.wait(f"{place} === 'matrix(1.5, 0, 0, 1.5, -100, 0)'")
    page.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 's', bubbles: true }))")
    page.wait("document.getElementById('star').ariaPressed === 'true'")
    page.key("Escape")
    page.wait("!document.getElementById('viewer').open")
    job, number = shown_job(page, bench.server)
    assert job["images"][number]["starred"] is True, job
    page.click("#star")
    page.wait("document.getElementById('star').ariaPressed === 'false'")
    assert shown_job(page, bench.server)[0]["images"][number]["starred"] is False
    return "pages, zoom 1.5, 100 pixels panned, a star on the server and off again"


def variations(bench):
    """More like this, subtle variations and twice the size, each by one press."""
    page = ready(bench)
    page.fill("#count", "1")
    draw(page, "a red apple on a blue background")
    seed = shown_job(page, bench.server)[0]["seed"]
    picture = page.run("document.getElementById('picture').dataset.path")

    def press(selector):
        count = page.run("sent.length")
        page.click(selector)
        page.wait(f"sent.length > {count}")
        page.wait(READY)
        page.wait("document.getElementById('progress').hidden")
        return page.run("sent.at(-1)")

    def back():
        page.run(f"[...document.querySelectorAll('#history img')].find(({{ dataset }}) =>"
                 f" dataset.path?.startsWith({json.dumps(picture)}))?.closest('button').click()")
        page.wait(f"document.getElementById('picture').dataset.path === {json.dumps(picture)}")

    more = press("#vary")
    assert more["count"] == 4 and more["seed"] != str(seed) and "image" not in more, more
    back()
    subtle = press("#vary-subtly")
    assert subtle["strength"] == 0.35 and subtle["image"].startswith("data:image/png"), subtle["strength"]
    back()
    larger = press("#upscale")
    assert larger["hires"]["width"] == 256 and larger["seed"] == str(seed), larger
    job, number = shown_job(page, bench.server)
    file = Image.open(io.BytesIO(bench.server.ask(job["images"][number]["url"].lstrip("/"), raw=True)))
    assert file.size == (256, 256)
    small = Image.open(io.BytesIO(bench.server.ask(picture.lstrip("/"), raw=True))).convert("RGB")
    reduced = file.convert("RGB").resize((128, 128), Image.LANCZOS)
    apart = sum(abs(a - b) for p, q in zip(small.getdata(), reduced.getdata()) for a, b in zip(p, q)) / (128 * 128 * 3)
    assert apart < 12, apart
    # Of a picture whose mask the service keeps to itself there are none; the button says why.
    paint = io.BytesIO()
    Image.new("L", (128, 128), 255).save(paint, "PNG")
    part = bench.server.finish({"prompt": "a green apple", "size": "128x128", "strength": 1,
                                "image": base64.b64encode(bench.server.ask(picture.lstrip("/"), raw=True)).decode(),
                                "mask": base64.b64encode(paint.getvalue()).decode()})
    assert part["masked"] is True, part
    page.run(f"location.hash = 'picture/{part['id']}/0'")
    page.wait("document.getElementById('vary').ariaDisabled === 'true'", 20)
    reason = page.run("document.getElementById('vary').title")
    assert "mask" in reason, reason
    count = page.run("sent.length")
    page.click("#vary")
    page.wait(f"document.getElementById('note-text').textContent === {json.dumps(reason)}")
    assert page.run("sent.length") == count
    return f"4 more, 4 subtle ones at 0.35, none of a masked picture, 256 × 256 that differs from the original by {apart:.1f} levels"


def stars(bench):
    """The gallery: stars, filters, selection, a ZIP of pictures, deletion with undo, keys."""
    for number in range(3):
        bench.server.finish({"prompt": f"kept picture {number}", "seed": number, "size": "64x64", "steps": 1})
    page = bench.page(path="#gallery")
    tiles = "document.querySelectorAll('#tiles .tile').length"
    page.wait(f"{tiles} > 2")
    page.wait("document.querySelectorAll('#only-lora option').length === 3", 20, "the server's LoRA files in the filter")
    page.fill("#search", "kept picture")
    page.wait(f"{tiles} === 3")
    page.run("document.querySelector('#tiles .star').click()")
    page.wait("document.querySelector('#tiles .star').ariaPressed === 'true'")
    page.click("#only-stars")
    page.wait(f"{tiles} === 1")
    page.click("#only-stars")
    page.wait(f"{tiles} === 3")
    choose(page, "#only-day", "2001-01-01")
    page.wait(f"{tiles} === 0")
    choose(page, "#only-day", "")
    page.wait(f"{tiles} === 3")
    page.run(CATCH)
    page.click("#select")
    page.run("document.querySelectorAll('#tiles .tile')[0].click(); document.querySelectorAll('#tiles .tile')[2].click()")
    page.wait("document.querySelector('#selection span').textContent.startsWith('2 ')")
    page.click("#zip")
    page.wait("window.saved?.type === 'application/zip'")
    archive = zipfile.ZipFile(io.BytesIO(saved(page)))
    assert archive.testzip() is None
    names = archive.namelist()
    assert len(names) == 2 and all(Image.open(io.BytesIO(archive.read(name))).size == (64, 64) for name in names), names
    page.click("#delete-selected")
    page.wait(f"{tiles} === 1")
    assert "2 pictures deleted" in text(page, "#undo")
    page.click("#undo-delete")
    page.wait(f"{tiles} === 3")
    page.click("#select")
    # Keys: to the neighbour, and out of the list.
    page.run("document.querySelector('#tiles .tile').focus()")
    page.key("ArrowRight")
    at = "[...document.querySelectorAll('#tiles .tile')].indexOf(document.activeElement)"
    assert page.run(at) == 1
    page.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Delete', bubbles: true }))")
    page.wait(f"{tiles} === 2")
    page.wait("document.getElementById('undo').hidden", 20)
    time.sleep(0.5)
    page.reload()
    page.wait(f"{tiles} > 1")
    left = [job["prompt"] for job in bench.server.ask("api/jobs?q=kept&limit=20")["data"]]
    assert sorted(left) == ["kept picture 0", "kept picture 2"], left
    return f"a star, a day without pictures, {', '.join(names)}, undo, arrow and Delete"


def many_tiles(bench):
    """Five hundred jobs: the number of nodes stays bounded, and no task is long."""
    listed = bench.server.ask("api/jobs?state=succeeded&limit=1")["data"]
    page = bench.page(waits=False)
    row = json.dumps(listed[0])
    page.call("Page.addScriptToEvaluateOnNewDocument", source=f"""
        const realFetch = window.fetch;
        window.fetch = (url, options) => {{
            const address = new URL(url, location.href);
            if (!address.pathname.endsWith('/api/jobs') || options?.body) return realFetch(url, options);
            const limit = Number(address.searchParams.get('limit'));
            const before = address.searchParams.get('before');
            const start = before ? Number(before.slice(3)) + 1 : 0;
            const row = {row};
            const data = Array.from({{ length: Math.min(limit, 500 - start) }}, (_, index) => (
                {{ ...row, id: `job${{start + index}}`, created: row.created - 3600 * (start + index) }}));
            return Promise.resolve(new Response(JSON.stringify({{ object: 'list', data, has_more: start + data.length < 500 }})));
        }};
        window.tasks = [];
        new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({{ duration }}) => duration)))
            .observe({{ type: 'longtask', buffered: true }});""")
    page.open(bench.server.url + "#gallery")
    page.reload()
    page.wait("document.querySelectorAll('#tiles .tile').length > 0", 30)
    page.run("tasks.length = 0")
    most = 0
    for _ in range(14):
        if page.run("document.getElementById('more').hidden"):
            break
        count = page.run("document.querySelectorAll('#tiles .chunk').length")
        page.run("document.getElementById('more').click()")
        page.wait(f"document.querySelectorAll('#tiles .chunk').length > {count}")
        page.run("scrollTo(0, document.body.scrollHeight)")
        time.sleep(0.15)
        most = max(most, page.run("document.querySelectorAll('#tiles *').length"))
    chunks = page.run("document.querySelectorAll('#tiles .chunk').length")
    assert chunks == 14, chunks
    page.run("scrollTo(0, 0)")
    page.wait("document.querySelector('.chunk .tile') !== null && document.querySelector('.chunk').querySelector('.tile') !== null")
    longest = max(page.run("tasks"), default=0)
    assert most < 2500, most
    return f"{chunks} parts of 500 jobs, at most {most} nodes, longest task {longest:.0f} ms"


def mask_tools(bench):
    """The mask: undo and redo, invert, brush by keys, zoom, a wider edge, cancel, and a side that is dragged out."""
    page = ready(bench)
    page.expects = ("willReadFrequently",)  # this check reads the canvas again and again
    source = bench.folder / "mask-source.png"
    Image.new("RGB", (128, 128), (70, 120, 200)).save(source)
    drag(page, source, page.run("innerWidth") - 200, 300)
    page.wait("!document.getElementById('source-set').hidden")
    page.click("#mask-open")
    page.wait("document.getElementById('mask').open && document.getElementById('mask-undo') !== null")
    time.sleep(0.4)
    x, y, width, height = page.run("""(() => {
        const { x, y, width, height } = document.getElementById('mask-canvas').getBoundingClientRect();
        return [x, y, width, height];
    })()""")
    colour = """(() => [...document.getElementById('mask-canvas').getContext('2d')
        .getImageData(64, 64, 1, 1).data].slice(0, 3).join())()"""
    before = page.run(colour)
    for kind, across in (("mousePressed", 0.45), ("mouseMoved", 0.55), ("mouseReleased", 0.55)):
        page.call("Input.dispatchMouseEvent", type=kind, x=x + across * width, y=y + 0.5 * height, button="left",
                  buttons=1, clickCount=1)
    painted = page.run(colour)
    assert painted != before, "nothing was painted"
    page.click("#mask-undo")
    assert page.run(colour) == before
    page.click("#mask-redo")
    assert page.run(colour) == painted
    page.click("#mask-invert")
    assert page.run(colour) == before, "inverted"
    page.run("document.getElementById('mask').dispatchEvent(new KeyboardEvent('keydown', { key: 'z', ctrlKey: true }))")
    assert page.run(colour) == painted, "Ctrl+Z"
    brush = page.run("Number(document.getElementById('mask-brush').value)")
    page.run("document.getElementById('mask').dispatchEvent(new KeyboardEvent('keydown', { key: ']' }))")
    assert page.run("Number(document.getElementById('mask-brush').value)") == brush + 2
    page.click("#mask-zoom")
    assert page.run("document.getElementById('mask-canvas').getBoundingClientRect().width") > 1.3 * width
    page.click("#mask-cancel")
    page.wait("!document.getElementById('mask').open")
    assert "painted" not in text(page, "#source-note").lower(), "cancelled paint is kept"
    page.click("#mask-open")
    page.wait("document.getElementById('mask').open")
    time.sleep(0.3)
    handle = page.run("""(() => {
        const { x, y, width, height } = document.querySelector('.mask-handle.is-right').getBoundingClientRect();
        return [x + width / 2, y + height / 2];
    })()""")
    length = 0.5 * page.run("document.getElementById('mask-canvas').getBoundingClientRect().width")
    for kind, moved in (("mousePressed", 0), ("mouseMoved", length), ("mouseReleased", length)):
        page.call("Input.dispatchMouseEvent", type=kind, x=handle[0] + moved, y=handle[1], button="left", buttons=1,
                  clickCount=1)
    page.click("#mask-done")
    page.wait("document.getElementById('source-note').textContent.length > 0")
    asked = draw(page, "a red apple on a yellow background")
    assert asked["width"] > 1.3 * asked["height"], (asked["width"], asked["height"])
    mask = Image.open(io.BytesIO(base64.b64decode(asked["mask"].split(",")[1]))).convert("L")
    row = [mask.getpixel((column, mask.height // 2)) > 127 for column in range(mask.width)]
    assert not any(row[:int(0.6 * mask.width)]) and all(row[int(0.7 * mask.width):]), row
    return f"painted, undone, redone, inverted, cancelled; {asked['width']} × {asked['height']} after a side was dragged"


def lora_words(bench):
    """Trigger words of a LoRA file are inserted by a click, many files are searched and folded."""
    page = bench.page(waits=False)
    rows = [{"name": f"folder{number % 2}/style {number}", "scale": 1, "thumbnail": None, "removable": False, "bytes": 1,
             "title": None, "summary": None, "triggers": [f"word{number}", "ink wash"]} for number in range(12)]
    page.call("Page.addScriptToEvaluateOnNewDocument", source=f"""
        const realFetch = window.fetch;
        window.fetch = (url, options) => String(url).endsWith('/api/loras')
            ? Promise.resolve(new Response({json.dumps(json.dumps({"loras": rows, "skipped": []}))})) : realFetch(url, options);""")
    page.open(bench.server.url)
    page.wait(READY)
    listed = "document.querySelectorAll('#loras input[type=checkbox]').length"
    page.wait(f"{listed} > 0")
    assert page.run(listed) == 5, page.run(listed)
    page.click("#lora-all")
    page.wait(f"{listed} === 12")
    page.fill("#lora-search", "word7")
    page.wait(f"{listed} === 1")
    page.fill("#prompt", "a cat")
    page.click("#loras input[type=checkbox]")
    page.click(".lora-words .chip")
    assert page.run("document.getElementById('prompt').value") == "a cat, word7"
    page.click(".lora-words .chip")
    assert page.run("document.getElementById('prompt').value") == "a cat, word7", "inserted twice"
    page.fill("#lora-search", "")
    page.wait(f"{listed} === 12")
    assert page.run("document.querySelectorAll('.lora-folder').length") == 2
    return "5 of 12 shown, one found by its word, which a click inserts once; 2 folders"


def styles(bench):
    """Styles add their words, presets bring settings back, choices and lines become several requests."""
    page = ready(bench)
    unfold(page, "#style-name")
    page.fill("#style-name", "Sketchy")
    page.fill("#style-words", "{prompt}, on paper")
    page.click("#style-add")
    asked = draw(page, "a cat")
    assert asked["prompt"] == "a cat, on paper", asked["prompt"]
    page.fill("#steps", "5")
    page.fill("#preset-name", "Mine")
    page.key("Enter")
    page.wait("document.querySelectorAll('#own-presets .chip').length === 1")
    page.fill("#steps", "9")
    page.run("[...document.querySelectorAll('#style-chips .chip')].find(({ textContent }) => textContent === 'Sketchy').click()")
    assert draw(page)["prompt"] == "a cat"
    page.reload()
    page.wait(MORE, 30)
    page.run(SPY)
    unfold(page, "#own-presets")
    page.click("#own-presets .chip")
    asked = draw(page, "a dog")
    assert asked["prompt"] == "a dog, on paper" and asked["steps"] == 5, asked
    page.run("[...document.querySelectorAll('#style-chips .chip')].find(({ textContent }) => textContent === 'Sketchy').click()")
    unfold(page, "#mode")
    for mode, prompt, wanted in (
            ("matrix", "a {red|green} apple on {snow|sand}", 4), ("lines", "a cat\n\na dog\n", 2)):
        choose(page, "#mode", mode)
        choose(page, "#prompt", prompt)
        page.wait(f"document.getElementById('mode-count').textContent.startsWith('{wanted} ')")
        page.run("sent.length = 0")
        page.run("document.getElementById('generate').click()")
        page.wait(f"sent.length === {wanted}", 60, f"{wanted} requests")
        page.wait(READY)
    prompts = page.run("sent.map(({ prompt }) => prompt)")
    assert prompts == ["a cat", "a dog"], prompts
    return "a style and a preset after a reload, 4 combinations, 2 lines"


def sheet_of_two(bench):
    """A sheet over steps and seeds has its labels in the picture that it saves."""
    page = ready(bench)
    page.fill("#prompt", "a red apple")
    unfold(page, "#grid-open")
    page.click("#grid-open")
    page.wait("document.getElementById('grid')?.open")
    choose(page, "#grid-x", "steps")
    choose(page, "#grid-x-values", "2, 4-6:2")
    choose(page, "#grid-y", "steps")
    page.wait("document.getElementById('grid-start').disabled", 5, "one parameter on both axes")
    choose(page, "#grid-y", "seed")
    choose(page, "#grid-y-values", "7, 8")
    page.wait("document.getElementById('grid-total').textContent.startsWith('6 ')")
    page.click("#grid-start")
    page.wait("!document.getElementById('grid-save').hidden", 60)
    cells = page.run("sent.map(({ steps, seed }) => `${steps}/${seed}`)")
    assert sorted(cells) == ["2/7", "2/8", "4/7", "4/8", "6/7", "6/8"], cells
    page.run(CATCH)
    page.click("#grid-save")
    page.wait("window.saved?.type === 'image/png'")
    picture = Image.open(io.BytesIO(saved(page))).convert("L")
    assert picture.width > 3 * 128 + 40 and picture.height > 2 * 128 + 20, picture.size
    # Dark letters on white above the columns and beside the rows.
    above = picture.crop((picture.width - 3 * 134, 18, picture.width, 46)).getextrema()
    beside = picture.crop((0, 60, picture.width - 3 * 134 - 2, picture.height)).getextrema()
    assert above[0] < 120 and beside[0] < 120, (above, beside)
    return f"6 pictures in a sheet of {picture.width} × {picture.height} with labels on both sides"


def sheet_by_keys(bench):
    """A sheet by keys alone: from its button through both axes to the file and back, the focus never lost."""
    page = ready(bench)
    page.fill("#prompt", "a cat")
    page.fill("#steps", "2")
    unfold(page, "#grid-open")
    page.run("document.getElementById('grid-open').focus()")
    page.key("Enter")
    page.wait("document.getElementById('grid')?.open")
    focus = "(document.activeElement.id || document.activeElement.className || document.activeElement.tagName)"
    stops = []

    def walk(wanted, presses=20):
        for _ in range(presses):
            if page.run(f"document.activeElement.matches({json.dumps(wanted)})"):
                return
            page.key("Tab")
            stops.append(page.run(focus))
            assert page.run("document.activeElement === document.body || document.activeElement.closest('#grid') !== null"), stops
            assert page.run("""(() => {
                const { outlineStyle, boxShadow } = getComputedStyle(document.activeElement);
                return document.activeElement === document.body || outlineStyle !== 'none' || boxShadow !== 'none';
            })()"""), f"no sign of the focus on {stops[-1]}"
        raise AssertionError(f"{wanted} cannot be reached: {stops}")

    def write(text):
        page.run("document.activeElement.select()")
        page.type(text)

    walk("#grid-x")
    # The field goes by keys to another parameter, and back.
    first = page.run("document.activeElement.value")
    page.key("ArrowDown")
    page.wait(f"document.getElementById('grid-x').value !== {json.dumps(first)}", 5, "another parameter")
    page.key("ArrowUp")
    page.wait(f"document.getElementById('grid-x').value === {json.dumps(first)} && {json.dumps(first)} === 'steps'", 5)
    walk("#grid-x-values")
    write("1, 2")
    walk("#grid-y")
    walk("#grid-y-values")
    write("18446744073709551614, 18446744073709551615")
    page.wait("document.getElementById('grid-total').textContent.startsWith('4 ')")
    walk("#grid-start")
    page.key("Enter")
    page.wait("!document.getElementById('grid-save').hidden", 60)
    assert page.run(focus) == "grid-save", page.run(focus)
    asked = page.run("sent.map(({ steps, seed }) => `${steps}/${seed}`)")
    assert sorted(asked) == [f"{steps}/{seed}" for steps in (1, 2) for seed in (2**64 - 2, 2**64 - 1)], asked
    drawn = page.run("document.querySelectorAll('.grid-cell img[src]').length")
    assert drawn == 4, drawn
    walk(".grid-table")
    page.key("Escape")
    page.wait("!document.getElementById('grid').open")
    assert page.run(focus) == "grid-open", "the focus returns"
    page.key("Enter")
    page.wait("document.getElementById('grid').open")
    assert page.run("document.getElementById('grid-x-values').value") == "1, 2", "values that were typed are lost"
    page.key("Escape")
    return f"{len(stops)} stops in the dialog, 4 pictures of the two largest seeds, the focus back at the button"


def open_states(bench):
    """In every drawer and dialog axe-core finds nothing, no text is a key, and nothing sticks out, in both languages."""
    script = axe_script()
    looks = 0
    for dark, language, width in ((False, "en-GB", 1280), (True, "zh-CN", 360)):
        page = ready(bench, dark=dark, language=language, width=width, mobile=width < 500)
        page.run(script + "; 0")

        def look(what):
            nonlocal looks
            time.sleep(0.4)
            found = page.run("""axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.map((rule) =>
                `${rule.id}: ${rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 160) + ' ' + (node.any[0]?.message ?? '')).join(' | ')}`))""")
            assert not found, f"{what}, {language}: {found[:3]}"
            keys = page.run("""[...document.querySelectorAll('body *')].filter((element) => element.childElementCount === 0
                && /^[a-z]+(\\.[A-Za-z0-9]+)+$/.test(element.textContent.trim()) && element.checkVisibility())
                .map((element) => element.textContent)""")
            assert not keys, f"{what}, {language}: texts are missing: {keys}"
            over = page.run("""Math.max(document.documentElement.scrollWidth - innerWidth,
                ...[...document.querySelectorAll('dialog[open]')].map((box) => box.scrollWidth - box.clientWidth))""")
            assert over <= 0, f"{what}, {language}: {over} px too wide at {width}"
            looks += 1

        draw(page, "a cat")
        for box in ("#sampler", "#variation", "#style-name", "#mode"):
            unfold(page, box)
        page.click("#hires")
        look("form")
        page.run("document.getElementById('details').click()")
        page.wait("document.getElementById('details-drawer')?.open")
        look("details")
        page.key("Escape")
        page.run("document.getElementById('full-screen').click()")
        page.wait("document.getElementById('viewer')?.open")
        look("full screen")
        page.key("Escape")
        page.run("document.getElementById('grid-open').click()")
        page.wait("document.getElementById('grid')?.open")
        look("X/Y sheet")
        page.key("Escape")
        page.run("document.getElementById('start').click()")
        page.wait("!document.getElementById('source-set').hidden")
        page.run("document.getElementById('mask-open').click()")
        page.wait("document.getElementById('mask').open")
        look("mask")
        page.key("Escape")
        page.run("location.hash = 'gallery'")
        page.wait("document.querySelectorAll('#tiles .tile').length > 0")
        page.run("document.getElementById('select').click(); document.querySelector('#tiles .tile').click()")
        look("selection")
    return f"{looks} states, English light at 1280 and Chinese dark at 360"


CHECKS = [sampler, second_pass, details, full_screen, variations, stars, many_tiles, mask_tools, lora_words, styles,
          sheet_of_two, sheet_by_keys, open_states]
