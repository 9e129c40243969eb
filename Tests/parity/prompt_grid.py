#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Draw 24 prompts, 12 of them Chinese, with diffusers and with inkstone, side by side in one PNG.

    prompt_grid.py --output grid.png [--model Models/emoji-nano] [--steps 8] [--guidance-scale 0]

Left of each pair the reference, right the engine, same seed. Also prints the largest difference of
each pair in levels of 255. Labels need a font with the prompts' characters; where none is
installed (fontconfig is asked), the prompts are printed only.
"""

import argparse
import functools
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy
from PIL import Image, ImageDraw, ImageFont

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROMPTS = [
    "a red apple on a blue background", "a panda on a yellow background", "a cat",
    "a penguin on a light blue background", "a fire truck on a green background",
    "a pizza on a pink background", "a strawberry on a beige background",
    "a basketball on a white background", "a dog on the left and a red car on the right",
    "a robot and a ghost on a purple background", "a rocket on a dark blue background",
    "an owl on a teal background",
    "蓝色背景上的红苹果", "黄色背景上的熊猫", "一只猫", "浅蓝色背景上的企鹅", "绿色背景上的消防车",
    "粉色背景上的披萨", "米色背景上的草莓", "白色背景上的篮球", "左边是狗，右边是汽车",
    "紫色背景上的机器人", "深蓝色背景上的火箭", "黑色背景，火焰",
]
COLUMNS, GAP, LABEL = 4, 8, 20


@functools.cache
def label_font():
    """A font for Chinese and English, or None."""
    try:
        path = subprocess.run(["fc-match", "-f", "%{file}|%{lang}", ":lang=zh-cn"],
                              capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    file, _, languages = path.partition("|")
    # fc-match names some font in any case; only a font that lists Chinese has the characters.
    return ImageFont.truetype(file, 12) if "zh-cn" in languages.split("|") else None


def shorten(text, font, width):
    """The text, or as much of it as fits with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


class Reference:
    def __init__(self, model):
        import torch
        from diffusers import ZImagePipeline
        self.torch = torch
        self.pipeline = ZImagePipeline.from_pretrained(model, torch_dtype=torch.float32)
        self.pipeline.set_progress_bar_config(disable=True)

    def __call__(self, prompt, seed, arguments):
        return self.pipeline(
            prompt=prompt, height=arguments.size, width=arguments.size,
            num_inference_steps=arguments.steps, guidance_scale=arguments.guidance_scale,
            generator=self.torch.Generator("cpu").manual_seed(seed)).images[0]


def engine(prompt, seed, arguments):
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "picture.png"
        command = [
            arguments.inkstone, "generate", prompt, "--model", arguments.model, "--width",
            arguments.size, "--height", arguments.size, "--steps", arguments.steps,
            "--guidance-scale", arguments.guidance_scale, "--seed", seed, "--precision",
            arguments.precision, "--output", output, "--quiet"]
        done = subprocess.run([str(w) for w in command], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise SystemExit(f"inkstone ended with {done.returncode}: {done.stderr.strip()}")
        return Image.open(output).convert("RGB")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "Models" / "emoji-nano")
    parser.add_argument("--inkstone", default=str(ROOT / ".build" / "release" / "inkstone"))
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--guidance-scale", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=42, help="of the first prompt; then one more")
    parser.add_argument("--reference-only", action="store_true", help="no engine, single pictures")
    arguments = parser.parse_args()
    reference = Reference(arguments.model)
    font = label_font()
    size, pair = arguments.size, 1 if arguments.reference_only else 2
    cell = (pair * size + GAP, size + (LABEL if font else 0) + GAP)
    rows = -(-len(PROMPTS) // COLUMNS)
    grid = Image.new("RGB", (COLUMNS * cell[0] + GAP, rows * cell[1] + GAP), "white")
    draw = ImageDraw.Draw(grid)
    for index, prompt in enumerate(PROMPTS):
        seed = arguments.seed + index
        pictures = [reference(prompt, seed, arguments)]
        note = ""
        if not arguments.reference_only:
            pictures.append(engine(prompt, seed, arguments))
            arrays = [numpy.asarray(p, dtype=numpy.int16) for p in pictures]
            difference = numpy.abs(arrays[0] - arrays[1])
            note = f"largest difference {difference.max():3d}, mean {difference.mean():.3f}"
        x, y = GAP + index % COLUMNS * cell[0], GAP + index // COLUMNS * cell[1]
        for position, picture in enumerate(pictures):
            grid.paste(picture, (x + position * size, y))
        if font:
            label = shorten(prompt, font, pair * size)
            draw.text((x, y + size + 2), label, fill="black", font=font)
        print(f"{index + 1:2d} {prompt}: {note}", flush=True)
    grid.save(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
