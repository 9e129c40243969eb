#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Measure what a model of the emoji world draws.

    evaluate.py MODEL [--steps 8] [--guidance-scale 0] [--side 128] [--limit N] [--json FILE] [--grid FILE]
                [--inkstone PROGRAM [--precision f32,int8]] [--natural]

Draws the 2,660 prompts of `evaluation_prompts.jsonl`, which training never saw, with seed 0, 1, 2, ... and
prints, by layout and language, the share of things whose nearest render among all trained names is the
one asked for (by pixels, and by structural similarity), the share of right backgrounds, the same for true
renders that passed through the autoencoder, and the autoencoder's PSNR on new scenes. 95 % intervals.

With --natural the list is `natural_prompts.jsonl`, 300 prompts as people write them, and the shares are
those of prompts that show every thing they name, at least one, the right counts, the right background.

With --inkstone the program draws instead of PyTorch. Of several precisions the first is the one that counts
and the others are compared with it: a difference of more than one point in any of the shares of all prompts
together ends with status 1.
"""

import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from diffusers import AutoencoderKL, ZImageTransformer2DModel
from PIL import Image, ImageDraw, ImageFont
from transformers import Qwen3Model

from nano import evaluation, natural, prompts, words, world
from nano.autoencoder import decode, encode, psnr, to_pictures, to_tensor
from nano.joint import sigmas
from nano.model import Nano
from nano.tokenizer import Prompts

GRID_SEED = 2026  # chooses the prompts of the grid


class Model:
    def __init__(self, folder, device):
        self.tokens = Prompts(folder / "tokenizer")
        load = lambda kind, part: kind.from_pretrained(folder / part, torch_dtype=torch.float32)
        self.nano = Nano(load(ZImageTransformer2DModel, "transformer"),
                         load(Qwen3Model, "text_encoder")).eval().to(device)
        self.autoencoder = load(AutoencoderKL, "vae").eval().to(device)
        self.device = device

    @torch.no_grad()
    def draw(self, texts, seeds, side, steps, guidance):
        """uint8 pictures in f32, as diffusers' pipeline draws them from the same seeds."""
        count = len(texts)
        ids, mask = self.tokens.batch(list(texts))
        empty_ids, empty_mask = self.tokens.batch([""], ids.shape[1])
        ids = torch.cat([ids, empty_ids.expand(count, -1)]).to(self.device)
        mask = torch.cat([mask, empty_mask.expand(count, -1)]).to(self.device)
        shape = (16, side // 8, side // 8)
        x = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds])
        x = x.to(self.device)
        if not guidance:
            ids, mask = ids[:count], mask[:count]
        features = self.nano.text(ids)
        levels = sigmas(steps).tolist()
        for now, after in zip(levels, levels[1:]):
            repeats = 2 if guidance else 1
            time = torch.full((count * repeats,), 1 - now, device=self.device)
            v = self.nano.predict(x.repeat(repeats, 1, 1, 1), time, features, mask)
            if guidance:
                v = v[:count] + guidance * (v[:count] - v[count:])
            x = x - (after - now) * v
        return to_pictures(torch.cat([decode(self.autoencoder, part) for part in x.split(16)]).cpu())


def draw_all(model, rows, arguments):
    pictures = [None] * len(rows)
    lengths = {i: model.tokens.batch([row["prompt"]])[0].shape[1] for i, row in enumerate(rows)}
    start = time.monotonic()
    done = 0
    for length in sorted(set(lengths.values())):
        chosen = [i for i in lengths if lengths[i] == length]
        for at in range(0, len(chosen), 32):
            part = chosen[at:at + 32]
            drawn = model.draw([rows[i]["prompt"] for i in part], part, arguments.side, arguments.steps,
                               arguments.guidance_scale)
            for i, picture in zip(part, drawn):
                pictures[i] = picture
            done += len(part)
            if done % 320 < 32:
                print(f"  {done} of {len(rows)} pictures, {time.monotonic() - start:.0f} s", flush=True)
    return pictures


def draw_with_program(rows, arguments, precision):
    """The same by `inkstone generate`, one process a picture."""
    pictures = []
    with tempfile.TemporaryDirectory() as folder:
        for seed, row in enumerate(rows):
            path = pathlib.Path(folder) / "picture.png"
            subprocess.run(
                [arguments.inkstone, "generate", row["prompt"], "--model", arguments.model, "--quiet",
                 "--seed", str(seed), "--steps", str(arguments.steps), "--width", str(arguments.side),
                 "--height", str(arguments.side), "--guidance-scale", str(arguments.guidance_scale),
                 "--precision", precision, "--output", path], check=True, stdout=subprocess.DEVNULL)
            pictures.append(np.asarray(Image.open(path).convert("RGB")))
    return pictures


def shares_of_all(rows, judged):
    """Shares of right things and backgrounds of all prompts whose words are known."""
    known = [j for r, j in zip(rows, judged) if r["layout"] != "unknown"]
    things = {key: evaluation.share([v for j in known for v in j[key]]) for key in ("pixels", "structure")}
    return things | {"background": evaluation.share([j["background"] for j in known])}


def compare_precisions(rows, judged, arguments):
    """The shares in every precision, and whether all are within a point of the first."""
    first, *others = arguments.precision
    results, near = {first: shares_of_all(rows, judged)}, True
    for precision in others:
        drawn = draw_with_program(rows, arguments, precision)
        results[precision] = shares_of_all(rows, [evaluation.judge(p, row) for p, row in zip(drawn, rows)])
        points = {k: 100 * (v["share"] - results[first][k]["share"]) for k, v in results[precision].items()}
        near = near and max(map(abs, points.values())) <= 1
        print(f"{precision} against {first}, in points: "
              + ", ".join(f"{k} {v:+.2f}" for k, v in points.items()))
    return results, near


@torch.no_grad()
def through_autoencoder(model, pictures):
    parts = to_tensor(np.stack(pictures)).split(16)
    return torch.cat([decode(model.autoencoder, encode(model.autoencoder, p.to(model.device))).cpu()
                      for p in parts])


def true_pictures(rows, side):
    rng = random.Random("true renders")
    pictures = []
    for row in rows:
        background = row["background"] or rng.choice(list(world.BACKGROUNDS))
        layout = "one" if row["layout"] == "unknown" else row["layout"]
        placed = [(e, *place) for e, place in zip(row["things"], world.LAYOUTS[layout][side])]
        pictures.append(world.compose(side, world.BACKGROUNDS[background][1], placed))
    return pictures


def caption_font():
    for name in ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf"):
        for path in pathlib.Path("/usr/share/fonts").rglob(name):
            return ImageFont.truetype(str(path), 11)
    return ImageFont.load_default()


def caption_lines(drawing, font, prompt, width):
    """The first two lines of a prompt below a picture."""
    line, lines = "", []
    for part in re.findall(r"[ -~]+? |[ -~]+|.", prompt):  # words, and single characters of Chinese
        if drawing.textlength(line + part, font=font) > width:
            lines.append(line)
            line = ""
        line += part
    return (lines + [line])[:2]


def save_grid(path, rows, pictures, columns=8):
    font, side, foot = caption_font(), pictures[0].shape[0], 34
    cell = max(side, 128)
    sheet = Image.new("RGB", (columns * (cell + 6), -(-len(rows) // columns) * (cell + foot)), "white")
    drawing = ImageDraw.Draw(sheet)
    for i, (row, picture) in enumerate(zip(rows, pictures)):
        x, y = i % columns * (cell + 6) + 3, i // columns * (cell + foot)
        sheet.paste(Image.fromarray(picture), (x, y))
        for n, text in enumerate(caption_lines(drawing, font, row["prompt"], cell)):
            drawing.text((x, y + cell + 2 + 14 * n), text, fill="black", font=font)
    sheet.save(path)


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--natural", action="store_true", help="the natural prompts")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--guidance-scale", type=float, default=0.0)
    parser.add_argument("--side", type=int, default=128, choices=world.SIDES)
    parser.add_argument("--limit", type=int, help="only so many prompts, spread over the list")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--grid", type=pathlib.Path,
                        help="write a sheet of 48 prompts of the list, chosen by a fixed seed; of the natural ones,"
                        " 12 are the first")
    parser.add_argument("--grid-only", action="store_true", help="the grid and nothing else")
    parser.add_argument("--inkstone", type=pathlib.Path, help="a program to draw with")
    parser.add_argument("--precision", default="f32", type=lambda text: text.split(","),
                        help="of the program; several, with commas between, are compared")
    return parser.parse_args()


def write_json(path, result):
    if path:
        path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def evaluate_natural(rows, pictures, result, arguments):
    judged = [natural.judge(p, row) for p, row in zip(pictures, rows)]
    result["natural"] = natural.table(rows, judged)
    natural.print_table(f"{len(rows)} natural prompts, {arguments.side} pixels, {arguments.steps} steps, "
                        f"guidance {arguments.guidance_scale:g}", result["natural"])
    result["rows"] = [{"prompt": row["prompt"]} | j for row, j in zip(rows, judged)]
    write_json(arguments.json, result)


def evaluate_autoencoder(model, rows, result, side):
    truth = true_pictures(rows, side)
    back = through_autoencoder(model, truth)
    judged = [evaluation.judge(p, row) for p, row in zip(to_pictures(back), rows)]
    result["ceiling"] = evaluation.table(rows, judged)
    evaluation.print_table("True renders through the autoencoder", result["ceiling"])
    values = psnr(to_tensor(np.stack(truth)), back.clamp(-1, 1))
    result["autoencoder_psnr"] = {"mean": values.mean().item(), "least": values.min().item()}
    print(f"Autoencoder on these scenes: {values.mean():.2f} dB on average, at least {values.min():.2f} dB")


def evaluate_list(model, rows, pictures, result, arguments):
    judged = [evaluation.judge(p, row) for p, row in zip(pictures, rows)]
    result["drawn"] = evaluation.table(rows, judged)
    evaluation.print_table(
        f"{len(rows)} prompts, {arguments.side} pixels, {arguments.steps} steps, "
        f"guidance {arguments.guidance_scale:g}, {len(world.things())} names", result["drawn"])
    near = True
    if arguments.inkstone and len(arguments.precision) > 1:
        result["precisions"], near = compare_precisions(rows, judged, arguments)
    # Some words of the list were unknown to earlier versions only.
    marks = [evaluation.is_question_mark(p) for r, p in zip(rows, pictures)
             if r["layout"] == "unknown" and not words.means_something(r["prompt"], r["language"])]
    if marks:
        result["unknown words drawn as a question mark"] = evaluation.share(marks)
        print(f"  unknown words drawn as a question mark: {evaluation.text(evaluation.share(marks))}")
    evaluate_autoencoder(model, rows[::5], result, arguments.side)
    write_json(arguments.json, result)
    if not near:
        raise SystemExit("precisions differ by more than a point")


def main():
    arguments = parse()
    model = Model(arguments.model, "cuda" if torch.cuda.is_available() else "cpu")
    rows = prompts.listed("natural" if arguments.natural else "evaluation")

    def draw(rows):
        if arguments.inkstone:
            return draw_with_program(rows, arguments, arguments.precision[0])
        return draw_all(model, rows, arguments)

    if arguments.grid:
        # Of the natural prompts, the first six of each language were written first: what newcomers had typed.
        first = [r for language in ("en", "zh") for r in rows if r["language"] == language]
        first = first[:6] + first[len(first) // 2:][:6] if arguments.natural else []
        others = [row for row in rows if row not in first]
        chosen = first + random.Random(GRID_SEED).sample(others, 48 - len(first))
        save_grid(arguments.grid, chosen, draw(chosen))
        print(f"wrote {arguments.grid}")
        if arguments.grid_only:
            return
    if arguments.limit:
        # An odd step takes both languages, which alternate.
        rows = rows[::max(1, len(rows) // arguments.limit) | 1][:arguments.limit]
    pictures = draw(rows)
    result = {"model": str(arguments.model), "steps": arguments.steps, "side": arguments.side,
              "guidance_scale": arguments.guidance_scale, "prompts": len(rows)}
    if arguments.natural:
        evaluate_natural(rows, pictures, result, arguments)
    else:
        evaluate_list(model, rows, pictures, result, arguments)


if __name__ == "__main__":
    main()
