#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""The whole recipe in small, once in one piece and once killed with SIGKILL and resumed.

    test_resume.py [--work DIR] [--control MODEL]

Both runs have to write a model that the reference pipeline loads and draws with, and their tables of
losses have to agree within the noise of threaded sums. Takes about two minutes a run on two cores.
With `--control` it is the training of a ControlNet for MODEL instead.
"""

import argparse
import csv
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
HERE = pathlib.Path(__file__).resolve().parent
STAGES = ("autoencoder", "text", "joint", "distillation", "style-pixel", "style-sketch")
TOLERANCE = 0.02  # relative, of a mean over steps


def command(work, control):
    script = ["train_control.py", control] if control else ["train.py"]
    return [sys.executable, str(HERE / script[0]), *script[1:], "--work", str(work), "--budget", "tiny",
            "--export", str(work / "model")]


def run(work, control):
    subprocess.run(command(work, control), check=True, stdout=subprocess.DEVNULL)


def run_with_kills(work, control):
    """Kills the run in the middle of the autoencoder and of joint training, or of the ControlNet's."""
    for stage in ("control",) if control else ("autoencoder", "joint"):
        process = subprocess.Popen(command(work, control), stdout=subprocess.DEVNULL)
        while process.poll() is None and not (work / f"{stage}.state").exists():
            time.sleep(0.05)
        time.sleep(0.5)
        if process.poll() is not None:
            sys.exit(f"the run ended before it could be killed in stage {stage}")
        process.send_signal(signal.SIGKILL)
        process.wait()
        print(f"killed in stage {stage}", flush=True)
    run(work, control)


def losses(work, stage):
    """Loss by step; a step that was repeated after a kill counts once."""
    with open(work / f"{stage}.csv", encoding="utf-8") as file:
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}


def check_model(folder):
    import torch
    from diffusers import ZImagePipeline
    pipeline = ZImagePipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(folder / "loras", weight_name="pixel.safetensors")
    picture = pipeline("a cat", height=128, width=128, num_inference_steps=2, guidance_scale=0.0).images[0]
    print(f"the reference pipeline loads model and LoRA and draws {picture.size}")


def check_control(folder):
    from diffusers import ZImageControlNetModel
    count = sum(p.numel() for p in ZImageControlNetModel.from_pretrained(folder).parameters())
    print(f"diffusers loads the net, with {count:,} parameters")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--control", metavar="MODEL", help="train a ControlNet for this model")
    arguments = parser.parse_args()
    folder = arguments.work or pathlib.Path(tempfile.mkdtemp(prefix="inkstone-training-"))
    whole, killed = folder / "whole", folder / "killed"
    start = time.monotonic()
    run(whole, arguments.control)
    print(f"whole run: {time.monotonic() - start:.0f} s", flush=True)
    run_with_kills(killed, arguments.control)
    failed = False
    for stage in ("control",) if arguments.control else STAGES:
        a, b = losses(whole, stage), losses(killed, stage)
        if a.keys() != b.keys():
            failed = True
            print(f"{stage}: steps {sorted(a)} and {sorted(b)} differ")
            continue
        worst = max(abs(a[s] - b[s]) / max(abs(a[s]), 1e-3) for s in a)
        failed |= worst > TOLERANCE
        print(f"{stage}: losses of {len(a)} entries agree within {100 * worst:.3f} %")
    (check_control if arguments.control else check_model)(killed / "model")
    if not arguments.work:
        shutil.rmtree(folder)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
