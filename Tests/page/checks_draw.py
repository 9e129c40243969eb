# Part of Inkstone. Licence: see LICENSE.
"""Checks of drawing: from the words to the file, and what may come between."""

import hashlib
import io
import json
import pathlib
import re
import tempfile
import time
import urllib.error
import urllib.request

from PIL import Image

from browser import TIMEOUT_FACTOR
from server import ROOT, Server

#: Nothing of the tab is in work, a picture of it is shown, something is in work.
READY = "!document.getElementById('generate').disabled && document.getElementById('create').dataset.jobs === '0'"
DONE = READY + " && !document.getElementById('result').hidden"
RUNNING = "Number(document.getElementById('create').dataset.jobs) > 0"
#: Bytes of the first view at most, as they are: the service does not compress.
FIRST_VIEW = 225_000
#: Notes every picture that the frame shows.
WATCH = """(() => {
    window.seen = [];
    new MutationObserver(() => {
        const { src } = document.getElementById('picture');
        if (src && seen.at(-1) !== src) seen.push(src);
    }).observe(document.getElementById('picture'), { attributes: true, attributeFilter: ['src'] });
})()"""


def pixels(file):
    return hashlib.sha256(Image.open(io.BytesIO(file)).convert("RGB").tobytes()).hexdigest()


def shown_job(page, server):
    """The job of the image in the frame, as the API reports it, and the number of the image."""
    path = page.run("document.getElementById('picture').dataset.path")
    parts = path.strip("/").split("/")
    return server.ask(f"api/jobs/{parts[2]}"), int(parts[4])


def tab_jobs(page):
    """The ids of the jobs that the tab follows."""
    return page.wait("sessionStorage.getItem('inkstone.jobs') !== '[]' && JSON.parse(sessionStorage.getItem('inkstone.jobs'))")


def stop(page):
    """Cancels what is on the stage, which asks again."""
    page.click("#cancel")
    if page.run(RUNNING):
        page.run("document.getElementById('cancel').click()")
    page.wait(READY)


def downloads(bench, page, folder):
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))


def first_view(bench):
    """Bytes and time of the first view, from a server that has just started."""
    server = Server(bench.program).start()
    try:
        page = bench.page(server, waits=False)
        milliseconds = page.wait(f"{READY} && performance.now()", 30)
        # Without what is loaded a second later, however late this script is.
        rows = page.wait(f"""(() => {{
            const rows = performance.getEntriesByType('resource').filter(({{ startTime, responseEnd }}) =>
                startTime < {milliseconds} + 500 && responseEnd > 0);
            return performance.now() > {milliseconds} + 600
                && rows.map(({{ name, transferSize }}) => [name, transferSize]);
        }})()""", 20)
        total = sum(size for _, size in rows) + page.run("performance.getEntriesByType('navigation')[0].transferSize")
        late = [name for name, _ in rows if re.search(r"/(more|sampling|control|grid|mask|viewer|gallery)\.", name)]
        assert not late, f"loaded before they are needed: {late}"
        assert total < FIRST_VIEW, f"{total} bytes: {rows}"
        return f"{total} bytes in {len(rows) + 1} requests, ready after {milliseconds:.0f} ms"
    finally:
        server.close()


def chinese_picture(bench):
    """A Chinese prompt, the button, previews, the picture, its file, its pixels."""
    page = bench.page(language="zh-CN")
    assert page.run("document.documentElement.lang") == "zh-Hans"
    page.fill("#prompt", "蓝色背景上的红苹果")
    page.fill("#steps", "40")
    page.run(WATCH)
    page.click("#generate")
    page.wait(RUNNING)
    page.wait(DONE)
    seen = page.run("seen")
    previews = [url for url in seen if url.startswith("data:")]
    assert len(set(previews)) >= 2, len(previews)
    assert not seen[-1].startswith("data:"), "the last picture is a preview"
    folder = bench.folder / "downloads"
    folder.mkdir()
    downloads(bench, page, folder)
    page.click("#download")
    end = time.monotonic() + 20
    while not (files := list(folder.glob("*.png"))):
        assert time.monotonic() < end, "no file"
        time.sleep(0.05)
    file = files[0].read_bytes()
    bench.saved = files[0]
    job, number = shown_job(page, bench.server)
    digest = job["images"][number]["pixel_sha256"]
    assert pixels(file) == digest, "the file has other pixels than the API says"
    again = bench.server.finish({key: job[key] for key in ("prompt", "size", "steps", "seed")})
    assert again["images"][0]["pixel_sha256"] == digest, "the API draws another picture"
    text = Image.open(io.BytesIO(file)).text["parameters"]
    assert text.startswith("蓝色背景上的红苹果") and f"Seed: {job['seed']}" in text, text
    return f"{len(set(previews))} previews, then pixels {digest[:12]} in page, file and API"


def cancel(bench):
    """Escape stops a picture within a step."""
    page = bench.page()
    page.fill("#prompt", "a cat")
    for name, value in (("steps", 200), ("width", 512), ("height", 512)):
        page.fill(f"#{name}", str(value))
    page.key("Enter", control=True)
    page.wait("document.getElementById('bar').value > 0")
    [job] = tab_jobs(page)
    page.key("Escape")
    assert page.run(RUNNING), "Escape in the prompt cancels"
    page.run("document.activeElement.blur()")
    page.key("Escape")
    assert page.run(RUNNING) and "again" in page.run("document.getElementById('cancel').textContent")
    start = time.monotonic()
    page.key("Escape")
    page.wait(READY)
    taken = time.monotonic() - start
    end = time.monotonic() + 20
    while (state := bench.server.ask(f"api/jobs/{job}")["state"]) == "running":
        assert time.monotonic() < end
        time.sleep(0.02)
    assert state == "cancelled", state
    assert page.run("document.getElementById('error').hidden")
    assert page.run("document.getElementById('note').textContent").startswith("Cancelled")
    return f"ready again after {taken * 1000:.0f} ms, job {state}"


def long_job(page, steps=120, side=256):
    # Long enough on a software GPU, and no longer.
    if TIMEOUT_FACTOR >= 10:
        steps, side = steps // 4, side // 2
    page.fill("#prompt", "a dog on the left and a red car on the right")
    for name, value in (("steps", steps), ("width", side), ("height", side)):
        page.fill(f"#{name}", str(value))
    page.key("Enter", control=True)
    page.wait("document.getElementById('bar').value > 0.02")
    return tab_jobs(page)[-1]


def reload(bench):
    """A tab that is loaded again goes on with its job."""
    page = bench.page()
    job = long_job(page)
    page.reload()
    page.wait(RUNNING)
    share = page.wait("document.getElementById('bar').value")
    assert tab_jobs(page) == [job]
    page.wait(DONE)
    assert shown_job(page, bench.server)[0]["id"] == job
    return f"the same job, seen again at {share * 100:.0f} %"


def two_tabs(bench):
    """Two tabs draw side by side; each has its own picture, both have both in the gallery."""
    pages = [bench.page() for _ in range(2)]
    jobs = [long_job(page, steps=60) for page in pages]
    assert all(page.run(RUNNING) for page in pages), "one waited for the other"
    for page, job in zip(pages, jobs):
        page.wait(DONE)
        assert shown_job(page, bench.server)[0]["id"] == job
    pages[0].click("#to-gallery")
    pages[0].wait("document.querySelectorAll('#tiles .tile').length >= 2")
    paths = pages[0].run("[...document.querySelectorAll('#tiles img')].map((image) => image.dataset.path)")
    assert all(any(job in path for path in paths) for job in jobs)
    return "both in work at once, each tab its own job"


def restart(bench):
    """The server is killed and started again: a banner, then the same job to its end."""
    server = Server(bench.program).start()
    try:
        page = bench.page(server)
        page.expects = ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_INCOMPLETE_CHUNKED", "503",
                        "ERR_EMPTY_RESPONSE"]
        job = long_job(page)
        server.kill()
        text = page.wait("!document.getElementById('banner').hidden"
                         " && document.getElementById('banner').textContent", 15)
        assert page.run(RUNNING)
        server.start()
        page.wait("!document.querySelector('.banner.is-lost') && " + DONE, 60)
        shown = shown_job(page, server)[0]
        assert shown["id"] == job and shown["state"] == "succeeded", shown
        return f"\"{text}\", then the same job after {shown['attempts']} attempts"
    finally:
        server.close()


def lora(bench):
    """A LoRA file is switched on and off: the request says so, and so does the picture."""
    page = bench.browser.page()
    page.origin = bench.server.url
    bench.pages.append(page)
    real = known_loras(bench.server)
    if not real:
        # The list of a server that has one, so that at least the page's own part is seen.
        page.call("Page.addScriptToEvaluateOnNewDocument", source="""
            const realFetch = window.fetch;
            window.fetch = (url, options) => String(url).endsWith('/api/loras')
                ? Promise.resolve(new Response('{"loras": [{"name": "pixel", "scale": 1}]}')) : realFetch(url, options);""")
    page.open(bench.server.url)
    page.wait(READY)
    page.wait("document.querySelectorAll('#loras input[type=checkbox]').length")
    name = page.run("document.querySelector('#loras label').textContent")
    # What the page sends.
    page.run("""(() => {
        window.sent = [];
        const send = window.fetch;
        window.fetch = (url, options) => {
            if (String(url).endsWith('/api/jobs') && options?.body) sent.push(JSON.parse(options.body).loras ?? null);
            return send(url, options);
        };
    })()""")
    page.fill("#prompt", "a cat")
    page.fill("#seed", "5")
    digests = []
    for _ in range(3):
        page.click("#generate")
        page.wait(RUNNING)
        page.wait(DONE)
        digests.append(shown_job(page, bench.server)[0]["images"][0]["pixel_sha256"])
        page.click("#loras input[type=checkbox]")
    sent = page.run("sent")
    assert sent[0] is None and sent[2] is None and sent[1][0]["name"] == name, sent
    assert digests[0] == digests[2]
    if not real:
        return f"{json.dumps(sent[1])} is sent when on (this server has no LoRA list of its own)"
    assert digests[0] != digests[1], "the LoRA file changes nothing"
    return f"{name}: pixels {digests[1][:12]} on, {digests[0][:12]} off"


def lora_files(bench):
    """A LoRA file is added on the page, is chosen at once, and is removed again."""
    page = bench.page()
    with tempfile.TemporaryDirectory(prefix="inkstone-lora-") as folder:
        broken = pathlib.Path(folder, "broken.safetensors")
        broken.write_bytes(b"no such thing")
        mine = pathlib.Path(folder, "mine.safetensors")
        mine.write_bytes((ROOT / "Models/emoji-nano/loras/pixel.safetensors").read_bytes())
        root = page.call("DOM.getDocument")["root"]["nodeId"]
        field = page.call("DOM.querySelector", nodeId=root, selector="#lora-file")["nodeId"]
        page.expects = ("api/loras",)  # the refusal is a line of the console, too
        page.call("DOM.setFileInputFiles", nodeId=field, files=[str(broken)])
        page.wait("document.getElementById('lora-note').textContent.length > 20")
        refusal = page.run("document.getElementById('lora-note').textContent")
        page.call("DOM.setFileInputFiles", nodeId=field, files=[str(mine)])
        page.wait("!!document.querySelector('.lora-remove')")
        assert {row["name"] for row in known_loras(bench.server)} >= {"mine", "pixel"}
        chosen = page.run("[...document.querySelectorAll('#loras li')].filter((row) =>"
                          " row.querySelector('input').checked).map((row) => row.textContent)")
        assert len(chosen) == 1 and chosen[0].startswith("mine"), chosen
        page.run("(() => { window.confirm = () => true; })()")
        page.click(".lora-remove")
        page.wait("!document.querySelector('.lora-remove')")
        assert "mine" not in {row["name"] for row in known_loras(bench.server)}
    return f"added, chosen, removed; refused: {refusal}"


def set_source(page, folder):
    """Chooses a plain image, made in the folder, as the one to start from; returns its file."""
    source = pathlib.Path(folder, "source.png")
    Image.new("RGB", (128, 128), (70, 120, 200)).save(source)
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    field = page.call("DOM.querySelector", nodeId=root, selector="#source-file")["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=field, files=[str(source)])
    page.wait("!document.getElementById('source-set').hidden")
    return source


def mask(bench):
    """A part of an image is masked and generated again; the rest stays."""
    page = bench.page()
    with tempfile.TemporaryDirectory(prefix="inkstone-mask-") as folder:
        source = set_source(page, folder)
        page.click("#mask-open")
        page.wait("document.getElementById('mask').open")
        page.run("document.getElementById('mask-brush').value = 40")
        x, y, width, height = page.run("""(() => {
            const { x, y, width, height } = document.getElementById('mask-canvas').getBoundingClientRect();
            return [x, y, width, height];
        })()""")
        # Up and down over the left third.
        points = [(0.2, 0.1), (0.2, 0.9), (0.1, 0.9), (0.1, 0.1)]
        for number, (across, down) in enumerate(points):
            page.call("Input.dispatchMouseEvent", type="mouseMoved" if number else "mousePressed",
                      x=x + across * width, y=y + down * height, button="left", buttons=1, clickCount=1)
        page.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)
        page.click("#mask-done")
        page.wait("document.getElementById('source-note').textContent.length")
    page.fill("#prompt", "a red apple on a yellow background")
    page.click("#generate")
    page.wait(RUNNING)
    page.wait(DONE)
    job, index = shown_job(page, bench.server)
    file = urllib.request.urlopen(f"{bench.server.url}{job['images'][index]['url'].lstrip('/')}").read()
    picture = Image.open(io.BytesIO(file)).convert("RGB")
    assert picture.size == (128, 128) and job["strength"] == 1, job

    def change(left, right):
        part = picture.crop((left, 0, right, 128)).getdata()
        return sum(abs(p[c] - (70, 120, 200)[c]) for p in part for c in range(3)) / len(part) / 3
    painted, kept = change(0, 36), change(70, 128)
    assert painted > 30 and kept < 12, (painted, kept)
    return f"levels of change: {painted:.0f} where painted, {kept:.1f} elsewhere"


def known_loras(server):
    """The list of a server, or nothing where it has none."""
    try:
        return server.ask("api/loras")["loras"]
    except urllib.error.HTTPError as error:
        assert error.code == 404, error
        return []


def typing(bench):
    """Typing while previews arrive: no letter is lost; gaps between frames are reported."""
    page = bench.page()
    long_job(page, steps=200)
    page.run("""(() => {
        window.gaps = [];
        let last = performance.now();
        const tick = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(tick); };
        requestAnimationFrame(tick);
    })()""")
    page.run(WATCH)
    page.fill("#prompt", "x")
    text = "a parrot, a coconut and a palm tree on a light blue background"
    for letter in text:
        page.type(letter)
        time.sleep(0.02)
    assert page.run(RUNNING), "the picture was done before the typing"
    previews = page.run("new Set(seen).size")
    gaps = sorted(page.run("gaps"))
    assert page.run("document.getElementById('prompt').value") == "x" + text
    assert previews > 2
    stop(page)
    return (f"{len(text)} letters during {previews} previews: frames {gaps[len(gaps) // 2]:.0f} ms apart,"
            f" 95 % within {gaps[int(len(gaps) * 0.95)]:.0f} ms, longest {gaps[-1]:.0f} ms")


CHECKS = [first_view, chinese_picture, cancel, reload, two_tabs, restart, lora, lora_files, mask, typing]
