# Part of Inkstone. Licence: see LICENSE.
"""Checks of work that takes long: the queue, looking at other pictures meanwhile, notifications; keys and errors."""

import json
import tempfile
import time

from checks_draw import DONE, READY, RUNNING, long_job, set_source, shown_job, stop, tab_jobs
from server import Server

SHOWN = "document.getElementById('picture').dataset.path"
QUEUED = "[...document.querySelectorAll('#queue-list span')].map((text) => text.textContent)"


def draw(page, prompt, **fields):
    page.fill("#prompt", prompt)
    for name, value in fields.items():
        page.fill(f"#{name}", str(value))
    page.run("document.getElementById('generate').click()")
    page.wait(RUNNING)
    page.wait(READY)


def visible(page, selector):
    """Whether an element is within the window, and nothing covers it."""
    return page.run(f"""(() => {{
        const element = document.querySelector({json.dumps(selector)});
        const {{ left, top, right, bottom }} = element.getBoundingClientRect();
        const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
        return top >= 0 && bottom <= innerHeight && left >= 0 && right <= innerWidth && element.contains(hit);
    }})()""")


def seeds(bench):
    """A seed that is typed is used and stays; the dice frees it."""
    page = bench.page()
    pressed = "document.getElementById('lock').ariaPressed"
    assert page.run(pressed) == "false"
    draw(page, "a cat", seed=4242)
    assert page.run(pressed) == "true"
    assert shown_job(page, bench.server)[0]["seed"] == 4242
    page.fill("#prompt", "a dog")
    page.run("document.getElementById('seed').focus()")
    page.key("Enter")
    page.wait(RUNNING)
    page.wait(DONE)
    assert shown_job(page, bench.server)[0]["seed"] == 4242
    assert page.run("document.getElementById('seed').value") == "4242"
    page.click("#dice")
    assert page.run(pressed) == "false"
    draw(page, "a dog")
    assert shown_job(page, bench.server)[0]["seed"] != 4242
    return "4242 twice, another one after the dice"


def largest_seed(bench):
    """A seed of 64 bits is exact in the field, the request, the picture, a sheet, an address and after a reload."""
    largest = 2**64 - 1
    page = bench.page()
    draw(page, "a cat", seed=largest, steps=2)
    job, _ = shown_job(page, bench.server)
    assert job["seed"] == largest, job["seed"]
    assert f"seed {largest}" in page.run("document.getElementById('facts').textContent")
    address = page.run("location.hash")
    draw(page, "a dog", seed=5)
    page.run(f"location.hash = {json.dumps(address)}")
    page.wait("document.getElementById('facts').textContent.includes('seed 184')")
    page.click("#reuse")
    page.wait(f"document.getElementById('seed').value === '{largest}'")
    page.reload()
    page.wait(READY)
    assert page.run("document.getElementById('seed').value") == str(largest)
    draw(page, "a cat", seed=largest - 1, count=2, steps=2)
    captions = page.run("[...document.querySelectorAll('#sheet span')].map((caption) => caption.textContent)")
    job = bench.server.ask("api/jobs?limit=1")["data"][0]
    assert captions == [str(image["seed"]) for image in job["images"]] == [str(largest - 1), str(largest)], captions
    page.click("#sheet button:nth-child(2)")
    page.wait(f"document.getElementById('facts').textContent.includes('seed {largest}')")
    page.run(f"location.hash = 'create?prompt=a+fox&seed={largest}'")
    page.wait("document.getElementById('prompt').value === 'a fox'")
    assert page.run("document.getElementById('seed').value") == str(largest)
    page.fill("#seed", str(largest + 1))
    page.run("document.getElementById('generate').click()")
    page.wait("document.getElementById('seed').ariaInvalid === 'true'")
    return f"{largest} typed, drawn, in a sheet, restored from picture and address; one more is refused"


def errors(bench):
    """An error stands beneath its field, in the window, in the language of the page, until the value changes."""
    page = bench.page(width=1280, height=800)
    page.fill("#prompt", "a cat")
    for name, value in (("steps", "0"), ("seed", "x1"), ("width", ""), ("guidance", "101")):
        good = page.run(f"document.getElementById('{name}').value")
        page.fill(f"#{name}", value)
        page.run("document.getElementById('advanced').open = false")
        page.run("document.getElementById('generate').click()")
        line = f"#{name}-error"
        page.wait(f"!!document.querySelector('{line}')", 5, f"the error of {name}")
        assert page.run(f"document.getElementById('{name}').ariaInvalid") == "true"
        assert line[1:] in page.run(f"document.getElementById('{name}').getAttribute('aria-describedby')")
        assert page.run("document.activeElement.id") == name
        gap = page.run(f"""document.querySelector('{line}').getBoundingClientRect().top
            - document.getElementById('{name}').getBoundingClientRect().bottom""")
        assert 0 <= gap < 12 and visible(page, line), (name, gap)
        text = page.run(f"document.querySelector('{line}').textContent")
        assert page.run("document.getElementById('error').textContent") == text
        page.run("document.getElementById('language').click()")
        page.wait(f"document.querySelector('{line}').textContent !== {json.dumps(text)}", 5, "the other language")
        page.run("document.getElementById('language').click()")
        page.wait(f"document.querySelector('{line}').textContent === {json.dumps(text)}", 5)
        page.fill(f"#{name}", good)
        assert page.run(f"!document.querySelector('{line}')") and page.run("document.getElementById('error').hidden")
        assert page.run(f"document.getElementById('{name}').getAttribute('aria-invalid')") is None
    return "beneath steps, seed, width and guidance, gone at the first letter"


def comparison(bench):
    """Seam and cut are one at every scale; labels say what differs; the source is compared; Esc leaves."""
    page = bench.page()
    page.wait("document.querySelectorAll('#loras input[type=checkbox]').length")
    draw(page, "a cat", seed=3)
    page.click("#loras input[type=checkbox]")
    draw(page, "a cat")
    page.click("#loras input[type=checkbox]")
    page.click("#compare")
    page.wait("document.getElementById('other').naturalWidth > 0")
    labels = page.run("['left', 'right'].map((side) => document.getElementById(`compare-${side}`).textContent)")
    assert labels[0].startswith("pixel") and labels[1] == "no LoRA", labels
    worst = 0
    for scale in ("fit", "1", "2", "4"):
        page.click(f"#scales [data-scale='{scale}']")
        for cut in (0, 30, 85, 100):
            page.run(f"""(() => {{
                const divider = document.getElementById('divider');
                divider.value = {cut};
                divider.dispatchEvent(new Event('input'));
            }})()""")
            seam, left, width, picture = page.run("""(() => {
                const box = (id) => document.getElementById(id).getBoundingClientRect();
                return [box('seam').left + 1, box('other').left, box('other').width, box('picture').width];
            })()""")
            worst = max(worst, abs(seam - left - width * cut / 100))
            assert width == picture, (scale, width, picture)
            if scale != "fit":
                assert abs(width - 128 * int(scale)) < 1, (scale, width)
    assert worst < 1.1, f"{worst} px between the seam and the cut"
    page.run("document.activeElement.blur()")
    page.key("Escape")
    assert page.run("document.getElementById('divider').hidden")
    page.click("#scales [data-scale='fit']")
    page.click("#start")
    page.wait("!document.getElementById('source-set').hidden")
    draw(page, "a dog")
    page.click("#compare")
    page.wait("document.getElementById('other').naturalWidth > 0")
    other = page.run("document.getElementById('other').dataset.path")
    assert other.endswith("/source"), other
    assert page.run("document.getElementById('compare-right').textContent") == "the source picture"
    page.click("#source-remove")
    return f"{labels}, {worst:.2f} px between seam and cut at 4 scales, source compared"


def escapes(bench):
    """Esc in another view, in a field, while composing and in a dialog cancels nothing; Ctrl+Enter likewise."""
    page = bench.page()
    running = lambda: page.run(RUNNING)
    long_job(page, steps=200)
    page.click("#to-gallery")
    page.wait("!document.getElementById('gallery').hidden")
    page.run("document.getElementById('search').focus()")
    for _ in range(3):
        page.key("Escape")
    page.key("Enter", control=True)
    assert running() and page.run("document.getElementById('create').dataset.jobs") == "1"
    page.click("#to-create")
    page.run("document.getElementById('prompt').focus()")
    page.call("Input.imeSetComposition", text="mao", selectionStart=3, selectionEnd=3)
    page.run("""document.activeElement.dispatchEvent(new KeyboardEvent('keydown',
        { key: 'Escape', isComposing: true, bubbles: true }))""")
    page.run("""document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', isComposing: true, bubbles: true }))""")
    page.call("Input.imeSetComposition", text="", selectionStart=0, selectionEnd=0)
    assert running()
    with tempfile.TemporaryDirectory(prefix="inkstone-mask-") as folder:
        set_source(page, folder)
    page.click("#mask-open")
    page.wait("document.getElementById('mask').open")
    page.key("Escape")
    page.wait("!document.getElementById('mask').open", 5, "Esc to close the dialog")
    assert running()
    stop(page)
    # Ctrl+Enter in the dialog draws with what was just painted.
    page.run("""(() => {
        window.sent = [];
        const send = window.fetch;
        window.fetch = (url, options) => {
            if (String(url).endsWith('/api/jobs') && options?.body) sent.push(JSON.parse(options.body));
            return send(url, options);
        };
    })()""")
    page.fill("#prompt", "a red apple")
    page.fill("#steps", "8")
    page.click("#mask-open")
    page.wait("document.getElementById('mask').open")
    x, y, width, height = page.run("""(() => {
        const { x, y, width, height } = document.getElementById('mask-canvas').getBoundingClientRect();
        return [x, y, width, height];
    })()""")
    for kind, across in (("mousePressed", 0.3), ("mouseMoved", 0.6), ("mouseReleased", 0.6)):
        page.call("Input.dispatchMouseEvent", type=kind, x=x + across * width, y=y + height / 2, button="left",
                  buttons=0 if kind == "mouseReleased" else 1, clickCount=1)
    page.key("Enter", control=True)
    page.wait("!document.getElementById('mask').open")
    page.wait(RUNNING)
    page.wait(DONE)
    assert page.run("sent.length === 1 && sent[0].mask?.startsWith('data:image/png')"), "the mask is not sent"
    page.click("#source-remove")
    return "gallery, search, composing and dialog cancel nothing; the fresh mask is sent"


def meanwhile(bench):
    """While a job runs, earlier pictures are looked at; its tile leads back; a second one is queued."""
    page = bench.page()
    draw(page, "a small snail", seed=1)
    first = page.run(SHOWN)
    draw(page, "a crown", seed=2)
    job = long_job(page, steps=200)
    tile = "#history .job-tile"
    page.wait(f"/\\d+ %/.test(document.querySelector('{tile}')?.textContent)")
    page.wait("document.querySelectorAll('#history li').length >= 3")
    page.click("#history li:nth-child(3) button")
    page.wait(f"{SHOWN} === {json.dumps(first)}")
    assert page.run("document.getElementById('said-text').textContent") == "a small snail"
    facts = page.run("[...document.querySelectorAll('#facts li')].map((fact) => fact.textContent)")
    assert {"128 × 128", "seed 1", "Emoji Nano"} <= set(facts), facts
    assert page.run(RUNNING) and page.run("document.getElementById('progress').hidden")
    share = lambda: int(page.run(f"document.querySelector('{tile}').textContent").split()[0])
    before = share()
    page.wait(f"parseInt(document.querySelector('{tile}').textContent) > {before}")
    assert page.run(SHOWN) == first, "the picture was replaced by the job"
    page.click("#to-gallery")
    page.wait("document.querySelectorAll('#tiles li').length > 1")
    page.click("#tiles li .tile")
    page.wait("!document.getElementById('create').hidden && !document.getElementById('result').hidden")
    page.click(tile)
    page.wait("!document.getElementById('progress').hidden")
    assert page.run("document.getElementById('said-text').textContent").startswith("a dog on the left")
    assert [job] == tab_jobs(page)
    stop(page)
    assert page.run("document.activeElement.id") == "generate", "the focus is lost"
    return f"picture of {facts[2]} shown at {before} %, the job again by its tile"


def queue(bench):
    """Jobs wait in order, with time and cancel, the same in two tabs; each ends with its picture."""
    server = Server(bench.program, "--running", "1").start()
    try:
        page, other = bench.page(server), bench.page(server)
        page.expects = other.expects = ["ERR_CONNECTION"]
        for name, value in (("steps", 120), ("width", 256), ("height", 256)):
            page.fill(f"#{name}", str(value))
        prompts = ["a cat", "a dog", "a fox", "a snail"]
        for index, prompt in enumerate(prompts):
            page.fill("#prompt", prompt)
            page.key("Enter", control=True)
            page.wait(f"document.getElementById('create').dataset.jobs === '{index + 1}'")
            assert not page.run("document.getElementById('generate').disabled")
        assert "queue" in page.run("document.getElementById('generate').textContent")
        for tab in (page, other):
            tab.call("Page.bringToFront")
            tab.wait(f"{QUEUED}.join() === 'a cat,a dog,a fox,a snail'", 20, "the same order in both tabs")
            tab.wait("document.querySelectorAll('#history .job-tile').length === 1", 10, "one tile")
        times = page.wait("""(() => {
            const texts = [...document.querySelectorAll('#queue-list small')].map((text) => text.textContent);
            return / %/.test(texts[0]) && texts.slice(1).every((text) => text.startsWith('starts in')) && texts;
        })()""")
        count = page.run("document.getElementById('queue-summary').textContent")
        page.call("Page.bringToFront")
        page.click("#queue > summary")
        page.wait("document.getElementById('queue').open")
        page.run("""[...document.querySelectorAll('#queue-list li')].find((row) => /a fox/.test(row.textContent))
            .querySelector('button:nth-of-type(2)').click()""")
        page.key("Escape")
        assert not page.run("document.getElementById('queue').open")
        for tab in (other, page):
            # A tab in the background asks again when it is looked at.
            tab.call("Page.bringToFront")
            tab.wait(f"!{QUEUED}.includes('a fox')", 20, "the job to leave the list")
        page.reload()
        page.wait(RUNNING)
        page.wait(READY, 240)
        states = {job["prompt"]: job["state"] for job in server.ask("api/jobs")["data"]}
        assert states == {"a cat": "succeeded", "a dog": "succeeded", "a fox": "cancelled", "a snail": "succeeded"}, states
        page.wait("document.querySelectorAll('#history li').length === 3")
        other.call("Page.bringToFront")
        other.wait("document.getElementById('queue').hidden", 20, "the list to be empty in the other tab")
        return f"\"{count}\", {times}, the third cancelled, the rest drawn after a reload"
    finally:
        server.close()


def told(bench):
    """A user who looks elsewhere sees it in title and icon, then what was made; a notification on wish."""
    page = bench.page()
    page.run("""(() => {
        window.away = true;
        Object.defineProperty(document, 'hidden', { get: () => away });
        window.notes = [];
        window.Notification = class extends EventTarget {
            static permission = 'granted';
            static requestPermission() { return Promise.resolve('granted'); }
            constructor(title, options) { super(); notes.push([title, options.body]); }
        };
        window.rung = 0;
        window.AudioContext = class { currentTime = 0; constructor() { rung += 1; throw new Error('silent'); } };
        // Time goes faster: what has taken 20 ms has taken 20 s.
        const now = performance.now.bind(performance);
        performance.now = () => now() * 1000;
    })()""")
    page.run("document.getElementById('tell-notify').checked = true")
    draw(page, "a cat", seed=9)
    title = page.run("document.title")
    assert title.startswith("✓") and "ready" in title, title
    assert "icon-new" in page.run("document.querySelector('link[rel=icon]').href")
    page.fill("#count", "2")
    draw(page, "a dog")
    assert page.run("document.title").startswith("✓ 3 "), page.run("document.title")
    notes = page.run("notes")
    assert notes and notes[-1][1] == "a dog", notes
    page.run("away = false; document.dispatchEvent(new Event('visibilitychange'))")
    said = page.run("document.getElementById('note').textContent")
    assert "3 pictures were made meanwhile" in said, said
    assert not page.run("document.title").startswith("✓")
    assert "icon-new" not in page.run("document.querySelector('link[rel=icon]').href")
    assert page.run("document.querySelectorAll('#history .is-fresh').length") >= 1
    page.fill("#count", "1")
    return f"\"{title}\", \"{notes[-1][0]}\", \"{said.split('.')[0]}\""


def loading(bench):
    """While the model loads, stage and button say so at every width."""
    server = Server(bench.program).start()
    try:
        for width in (360, 768, 1280):
            page = bench.browser.page(width=width, height=800, mobile=width < 500)
            page.origin = server.url
            bench.pages.append(page)
            page.call("Page.addScriptToEvaluateOnNewDocument", source="""
                const send = window.fetch;
                window.fetch = (url, options) => String(url).endsWith('/api/models')
                    ? Promise.resolve(new Response('[]')) : send(url, options);""")
            page.open(server.url)
            text = page.wait("/Loading Emoji Nano/.test(document.getElementById('empty-text').textContent)"
                             " && document.getElementById('empty-text').textContent", 10, "the words")
            assert "Loading" in page.run("document.getElementById('generate').textContent")
            assert page.run("document.getElementById('empty-text').checkVisibility()")
        return f"\"{text}\" at 3 widths"
    finally:
        server.close()


CHECKS = [seeds, largest_seed, errors, comparison, escapes, meanwhile, queue, told, loading]
