# Part of Inkstone. Licence: see LICENSE.
"""Checks of what the page shows of the service: gallery, status, benchmarks, keys, a proxy."""

import json
import pathlib
import shutil
import subprocess
import tempfile
import time

from checks_draw import DONE, READY, RUNNING, pixels, shown_job
from server import ROOT, Server, free_port


def gallery(bench):
    """All pictures of the store, found again after a reload, searched, opened, deleted."""
    for body in ({"prompt": "a cat"}, {"prompt": "a dog"}, {"prompt": "a unique walrus", "n": 2}):
        bench.server.finish(body | {"size": "128x128"})
    page = bench.page(path="#gallery")
    page.wait("document.querySelectorAll('#tiles .tile').length > 1")
    before = page.run("document.querySelectorAll('#tiles .tile').length")
    page.fill("#search", "walrus")
    page.wait("document.querySelectorAll('#tiles .tile').length === 1")
    assert page.run("document.querySelector('#tiles b').textContent") == "2"
    page.click("#tiles .tile")
    page.wait("!document.getElementById('create').hidden && !document.getElementById('sheet').hidden")
    page.click("#to-gallery")
    page.wait("document.querySelectorAll('#tiles .tile').length === 1")
    page.click("#tiles .delete")
    page.wait("document.querySelectorAll('#tiles .tile').length === 0")
    page.click("#undo-delete")
    page.wait("document.querySelectorAll('#tiles .tile').length === 1")
    page.click("#tiles .delete")
    page.wait("document.getElementById('undo').hidden", 20)
    time.sleep(0.5)
    assert not bench.server.ask("api/jobs?q=walrus")["data"]
    page.reload()
    page.wait("document.querySelectorAll('#tiles .tile').length > 1")
    after = page.run("document.querySelectorAll('#tiles .tile').length")
    assert after == min(before, after) and after >= before - 1
    return f"{before} jobs, {after} after one was deleted and the tab loaded again"


def status(bench):
    """Models, memory, queue, and lines from the metrics while something is drawn."""
    page = bench.page(path="#status")
    page.wait("document.querySelectorAll('#status-models tr').length > 0")
    model = page.run("document.querySelector('#status-models th').textContent")
    assert model == "Emoji Nano"
    bench.server.finish({"prompt": "a cat", "size": "128x128", "n": 4})
    figure = page.wait("Number(document.getElementById('figure-steps').textContent) > 0"
                       " && document.getElementById('figure-steps').textContent", 20)
    page.wait("/^M.*L/.test(document.querySelector('#line-steps path').getAttribute('d'))")
    images = page.run("document.getElementById('status-images').textContent")
    metrics = bench.server.ask("metrics", raw=True).decode()
    total = sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("inkstone_images_total"))
    assert int(images.replace(",", "")) <= total and int(images.replace(",", "")) > 0
    memory = page.run("document.getElementById('status-memory').textContent")
    return f"{model}, {images} pictures, {memory} in use, {figure} steps a second"


def benchmarks(bench):
    """A tab for load tests where there are results, and none where there are none."""
    page = bench.page()
    assert page.run("document.getElementById('to-benchmarks').hidden")
    run = bench.folder / "runs" / "20260101T101500Z-concurrency-512"
    run.mkdir(parents=True)
    (run / "summary.json").write_text(json.dumps(
        {"schema_version": 1, "name": "concurrency-512", "verdict": "ok", "levels": [{"users": 8}]}))
    (run / "table.md").write_text(
        "users |   X img/s (95 %)  | p95 | audit\n---|---|---|---\n    8 |  3.71 (3.66-3.77) | 2350 | ok\n"
        "   16 |  3.80 (3.75-3.85) | 4420 | ok\n\nmeasured on a machine\n")
    (run / "report.html").write_text("<style>p{color:red}</style><p id=x>hello</p><script>document.title='ran'</script>")
    page.reload()
    page.wait("!document.getElementById('to-benchmarks').hidden")
    page.click("#to-benchmarks")
    page.wait("document.querySelectorAll('#run-body tbody tr').length === 2")
    cells = page.run("[...document.querySelectorAll('#run-body tbody tr:last-child td')].map((cell) => cell.textContent)")
    assert cells == ["16", "3.80 (3.75-3.85)", "4420", "ok"], cells
    assert "verdict" in page.run("document.getElementById('run-facts').textContent")
    report = bench.browser.page(page.run("document.getElementById('run-report').href"))
    assert report.run("document.title") != "ran", "a script of the report ran"
    assert report.run("document.getElementById('x').textContent") == "hello"
    return f"one run, {len(cells)} columns, its report can run nothing"


def keys(bench):
    """A server with keys: the page asks for one, words a wrong one, and works with a right one."""
    server = Server(bench.program)
    made = subprocess.run(
        [str(bench.program), "keys", "add", "tester", "--data", str(server.data)], capture_output=True,
        text=True, check=True, cwd=ROOT)
    key = next(word for word in made.stdout.split() if len(word) > 30)
    server.start()
    try:
        page = bench.page(server, waits=False)
        page.expects = ["401"]
        page.wait("!document.getElementById('key-box').hidden", 20)
        asked = page.run("document.getElementById('error').textContent")
        page.fill("#key", "wrong")
        page.key("Enter")
        page.wait(f"document.getElementById('error').textContent !== {json.dumps(asked)}")
        page.fill("#key", key)
        page.key("Enter")
        page.wait(READY, 20)
        page.fill("#prompt", "a cat")
        page.click("#generate")
        page.wait(RUNNING)
        page.wait(DONE)
        # An element cannot send a key: the page fetches the file.
        page.wait("document.getElementById('picture').src.startsWith('blob:')"
                  " && document.getElementById('picture').naturalWidth > 0")
        folder = bench.folder / "with-key"
        folder.mkdir()
        page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        page.click("#download")
        end = time.monotonic() + 20
        while not (files := list(folder.glob("*.png"))):
            assert time.monotonic() < end, "no file"
            time.sleep(0.05)
        server.key = key
        assert pixels(files[0].read_bytes()) == shown_job(page, server)[0]["images"][0]["pixel_sha256"]
        page.reload()
        page.wait(READY, 20)
        return f"\"{asked}\"; with the key a picture and its file; kept over a reload"
    finally:
        server.close()


def proxy(bench):
    """Below a path of nginx: page, pictures and events that come one by one."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not pathlib.Path(program).exists():
        raise AssertionError("nginx is not installed: apt-get install nginx-light")
    front = free_port()
    with tempfile.TemporaryDirectory(prefix="inkstone-nginx-") as name:
        site = (ROOT / "Deploy/nginx.conf").read_text()
        site = site.replace("127.0.0.1:9997", f"127.0.0.1:{bench.server.port}").replace(
            "listen 8080", f"listen 127.0.0.1:{front}").replace("/var/log/nginx/inkstone.log", f"{name}/log")
        site = site.replace("location / {", "location /studio/ {").replace(
            "proxy_pass http://inkstone;", "proxy_pass http://inkstone/;")
        pathlib.Path(name, "nginx.conf").write_text(
            f"pid {name}/pid; error_log {name}/error.log; daemon off; events {{}}\nhttp {{"
            + "".join(f" {kind}_temp_path {name}/{kind};" for kind in
                      ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + site + "}\n")
        process = subprocess.Popen([program, "-p", name, "-c", f"{name}/nginx.conf"], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            page = bench.browser.page(f"http://127.0.0.1:{front}/studio/")
            page.origin = f"http://127.0.0.1:{front}/studio/"
            bench.pages.append(page)
            page.wait(READY, 20)
            loaded, whole = page.run("""(() => {
                const files = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
                    .filter(({ name }) => /\\/$|[.](js|css)$/.test(name));
                return ['transferSize', 'decodedBodySize'].map((size) => files.reduce((sum, file) => sum + file[size], 0));
            })()""")
            assert loaded < 0.5 * whole, f"{loaded} of {whole} bytes: not compressed"
            page.fill("#prompt", "a cat")
            page.fill("#steps", "60")
            page.run("""(() => {
                window.times = [];
                new MutationObserver(() => times.push(performance.now())).observe(
                    document.getElementById('bar'), { attributes: true });
            })()""")
            page.click("#generate")
            page.wait(RUNNING)
            page.wait(DONE)
            page.wait("document.getElementById('picture').naturalWidth > 0")
            times = page.run("times")
            assert len(times) > 10 and times[-1] - times[0] > 100, (len(times), times[-1] - times[0])
            page.click("#to-gallery")
            page.wait("[...document.querySelectorAll('#tiles img')].some((image) => image.naturalWidth > 0)")
            return (f"/studio/: {len(times)} steps seen over {(times[-1] - times[0]) / 1000:.2f} s, gallery, "
                    f"{loaded // 1000} kB for scripts and styles of {whole // 1000} kB")
        finally:
            process.terminate()
            process.wait()


CHECKS = [gallery, status, benchmarks, keys, proxy]
