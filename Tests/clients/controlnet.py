#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""ControlNets of a running server through webuiapi, unmodified, and through the routes of jobs and estimates.

    controlnet.py [--inkstone .build/release/inkstone]

The model and the nets are the small random ones of Tests/Fixtures/control. Needs webuiapi and Pillow. One line a
check; exits with 1 when one fails.
"""

import argparse
import base64
import io
import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

import webuiapi
from PIL import Image, ImageDraw
from running_server import PROGRAM, ROOT, RunningServer

NETS = ROOT / "Tests/Fixtures/control"
failures = 0


def check(name, body):
    global failures
    try:
        print(f"ok   {name} {body() or ''}", flush=True)
    except Exception as error:  # one line a check
        failures += 1
        print(f"FAIL {name} {type(error).__name__}: {str(error)[:400]}", flush=True)


def picture(size=(160, 128)):
    image = Image.new("RGB", size, (20, 30, 60))
    ImageDraw.Draw(image).ellipse((30, 20, 110, 100), fill=(230, 200, 40))
    return image


def encoded(image):
    data = io.BytesIO()
    image.save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def checks(server):
    api = webuiapi.WebUIApi(host="127.0.0.1", port=server.port, steps=2)
    common = dict(prompt="a cat", seed=5, cfg_scale=1.0, width=64, height=96)

    def lists():
        models, modules = api.controlnet_model_list(), api.controlnet_module_list()
        assert models == ["net-1.0", "net-2.0", "net-2.1", "net-lite"], models
        assert {"canny", "none", "inpaint_only"} <= set(modules), modules
        assert api.controlnet_version() == 2
    check("lists", lists)

    def detect():
        result = api.controlnet_detect(images=[picture()], module="canny")
        colours = result.image.convert("RGB").getcolors()
        assert result.image.size == (160, 128) and len(colours) == 2, colours
    check("detect", detect)

    plain = api.txt2img(**common)

    def unit():
        made = webuiapi.ControlNetUnit(image=picture(), module="canny", model="net-1.0", weight=0.9)
        first = api.txt2img(controlnet_units=[made], **common)
        again = api.txt2img(controlnet_units=[made], **common)
        assert first.image.tobytes() == again.image.tobytes()
        assert first.image.tobytes() != plain.image.tobytes()
        text = first.info["infotexts"][0]
        assert "Module: canny, Model: net-1.0, Weight: 0.9" in text, text
    check("a unit changes the image, and the same one again gives the same bytes", unit)

    def several():
        units = [webuiapi.ControlNetUnit(image=picture(), module="scribble_xdog", model="net-lite",
                                         guidance_start=0.0, guidance_end=0.4),
                 webuiapi.ControlNetUnit(image=picture(), module="none", model="net-2.1")]
        result = api.txt2img(controlnet_units=units, **common)
        assert "ControlNet 1" in result.info["infotexts"][0], result.info["infotexts"]
    check("two units with a range", several)

    def repaint():
        mask = Image.new("RGB", (160, 128), (255, 255, 255))
        made = webuiapi.ControlNetUnit(module="inpaint_only", model="net-2.0")
        api.img2img(images=[picture()], mask_image=mask, controlnet_units=[made],
                    inpainting_fill=1, mask_blur=0, **common)
    check("inpaint_only in img2img", repaint)

    def refused():
        made = webuiapi.ControlNetUnit(image=picture(), module="canny", model="None")
        try:
            api.txt2img(controlnet_units=[made], **common)
        except RuntimeError as error:
            assert "net-lite" in str(error), error
            return
        raise AssertionError("no error")
    check("a unit without a net is refused with the nets there are", refused)

    def job():
        body = {"prompt": "a cat", "steps": 2, "size": "64x96", "seed": 5,
                "controls": [{"model": "net-lite", "type": "canny", "image": encoded(picture())}]}
        status, _, answer = server.ask("/api/jobs", body)
        assert status == 202, answer
        row = json.loads(answer)
        server.ask(f"/api/jobs/{row['id']}/events")
        row = json.loads(server.ask(f"/api/jobs/{row['id']}")[2])
        assert row["state"] == "succeeded" and row["controls"][0]["model"] == "net-lite", row
        count = server.metric("inkstone_control_images_total", net="net-lite")
        assert count >= 2, count
    check("a job, and the metric", job)

    def wrong():
        body = {"prompt": "a cat", "steps": 2, "size": "64x96",
                "controls": [{"model": "net-1.0", "type": "inpaint", "source": encoded(picture()),
                              "mask": encoded(picture())}]}
        status, _, answer = server.ask("/api/jobs", body)
        row = json.loads(answer)
        server.ask(f"/api/jobs/{row['id']}/events")
        row = json.loads(server.ask(f"/api/jobs/{row['id']}")[2])
        assert row["state"] == "failed" and "version 1.0" in row["failure"], row
    check("a net that cannot repaint ends its job with the reason", wrong)

    def estimate():
        def ask(controls):
            body = {"prompt": "a cat", "steps": 2, "size": "64x96", "controls": controls}
            return json.loads(server.ask("/api/estimate", body)[2])
        plain, controlled = ask([]), ask([{"model": "net-2.0"}])
        assert controlled["model_bytes"] > plain["model_bytes"], controlled
        assert controlled["seconds"] > plain["seconds"], controlled
    check("an estimate has the weights and the work of a net", estimate)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(PROGRAM))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        folder = pathlib.Path(data) / "controlnets"
        folder.mkdir()
        for net in NETS.glob("net-*"):
            (folder / net.name).symlink_to(net)
        with RunningServer(arguments.inkstone, "--model", NETS / "base", data=data) as server:
            checks(server)
    print("all checks passed" if failures == 0 else f"{failures} checks failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
