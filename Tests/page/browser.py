# Part of Inkstone. Licence: see LICENSE.
"""Headless Chromium through its DevTools protocol, as far as the page's tests need it."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

import websocket

KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowUp": (38, ""),
        "ArrowDown": (40, ""), "ArrowLeft": (37, ""), "ArrowRight": (39, ""), " ": (32, " ")}


# Of servers that take longer than those that the times were chosen for, as on a software GPU.
TIMEOUT_FACTOR = float(os.environ.get("INKSTONE_TEST_TIMEOUT_FACTOR", 1))


class Browser:
    """A Chromium of its own, without anything of its user."""

    def __init__(self, *flags):
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not program:
            raise SystemExit("Chromium is not installed: apt-get install chromium")
        self.folder = tempfile.TemporaryDirectory(prefix="inkstone-chromium-", ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
             "--remote-allow-origins=*", f"--user-data-dir={self.folder.name}", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--force-color-profile=srgb", "--hide-scrollbars", *flags, "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = pathlib.Path(self.folder.name, "DevToolsActivePort")
        end = time.monotonic() + 30
        while not port_file.exists() or not port_file.read_text().strip():
            if time.monotonic() > end:
                raise SystemExit("Chromium does not start")
            time.sleep(0.05)
        self.port = int(port_file.read_text().split()[0])

    def page(self, url="about:blank", **options):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        target = json.load(urllib.request.urlopen(request))
        return Page(target["webSocketDebuggerUrl"], url, **options)

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.folder.cleanup()


class Page:
    """A tab. Collects what its console says and what it asks of the network."""

    def __init__(self, address, url, width=1280, height=900, scale=1, mobile=False, dark=False, language="en-GB"):
        self.socket = websocket.create_connection(address, timeout=60)
        self.number = 0
        self.events = []
        self.errors = []
        self.requests = {}
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.size(width, height, scale, mobile)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setLocaleOverride", locale=language)
        self.call("Network.setUserAgentOverride", userAgent="Mozilla/5.0 (X11; Linux x86_64) Chrome",
                  acceptLanguage=language)
        if url != "about:blank":
            self.open(url)

    def call(self, method, **parameters):
        self.number += 1
        number = self.number
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self.note(message)

    def note(self, message):
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            entry = parameters["entry"]
            self.errors.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests[parameters["requestId"]] = {"url": parameters["request"]["url"], "bytes": 0}
        elif method == "Network.loadingFinished" and parameters["requestId"] in self.requests:
            self.requests[parameters["requestId"]]["bytes"] = parameters["encodedDataLength"]
        elif method == "Page.javascriptDialogOpening":
            self.errors.append(f"dialog: {parameters['message']}")

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def reload(self):
        self.call("Page.reload")
        time.sleep(0.1)
        self.wait("document.readyState === 'complete'")

    def size(self, width, height, scale=1, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=scale, mobile=mobile)

    def run(self, script):
        """The value of an expression, awaited."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait(self, script, seconds=60, what=None):
        """The first true value of an expression."""
        end = time.monotonic() + seconds * TIMEOUT_FACTOR
        while True:
            try:
                value = self.run(script)
            except RuntimeError as error:
                # The page may be about to be replaced.
                if "context" not in str(error).lower():
                    raise
                value = None
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"waited too long for {what or script}")
            time.sleep(0.02)

    def unfold(self, selector):
        """Opens what an element is folded in."""
        self.run(f"""(() => {{
            let box = document.querySelector({json.dumps(selector)})?.closest('details');
            if (box?.querySelector('summary').matches({json.dumps(selector)})) box = box.parentElement.closest('details');
            for (; box; box = box.parentElement.closest('details')) box.open = true;
        }})()""")

    def click(self, selector):
        self.unfold(selector.split(" summary")[0] + " summary" if " summary" in selector else selector)
        box = self.wait(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            if (!element) return null;
            element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
            const {{ x, y, width, height }} = element.getBoundingClientRect();
            return width > 0 ? [x + width / 2, y + height / 2] : null;
        }})()""", 10, f"{selector} to be there")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left",
                      clickCount=0 if kind == "mouseMoved" else 1)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def fill(self, selector, text):
        self.unfold(selector)
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.run(f"document.querySelector({json.dumps(selector)}).select?.()")
        self.type(text)

    def key(self, name, control=False, alt=False, shift=False):
        code, text = KEYS[name]
        modifiers = (1 if alt else 0) | (2 if control else 0) | (8 if shift else 0)
        common = {"key": name, "code": "Space" if name == " " else name, "windowsVirtualKeyCode": code,
                  "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", text="" if modifiers & 3 else text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def screenshot(self):
        """What the tab shows, as a PNG file."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self):
        self.call("Page.close")
        self.socket.close()
