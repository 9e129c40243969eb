#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Checks of the ControlNet's recipe that need no training; takes a minute.

    test_control.py [--model MODEL]

Maps of edges are those of the program's own fixtures, bit for bit; free scenes stay inside of the picture and
their prompts within the length asked for; an untrained net changes nothing; and with random projections the
recipe's forward pass is that of diffusers' ControlNet and transformer.
"""

import argparse
import os
import pathlib
import random

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from PIL import Image

from nano import control, edges, world
from nano.model import Nano, make_text_encoder, make_transformer
from nano.tokenizer import Prompts

ROOT = pathlib.Path(__file__).resolve().parents[1]


def check_maps():
    """The fixtures were made with OpenCV, and `ControlMapTests` holds the program to them."""
    folder = ROOT / "Tests" / "Fixtures" / "controlmaps"
    read = lambda name: np.asarray(Image.open(folder / f"{name}.png").convert("RGB"))[None]
    for low, high in ((100, 200), (20, 60)):
        wanted, found = read(f"canny-{low}-{high}"), edges.as_pictures(edges.canny(read("image"), low, high))
        assert wanted.any() and (found == wanted).all(), f"{(found != wanted).sum()} values differ"


def check_agreement():
    a = np.zeros((1, 32, 32), bool)
    a[:, 8, 4:28] = True
    assert edges.agreement(a, a) == 1
    assert edges.agreement(a, np.roll(a, 1, 1)) == 0.5 and edges.agreement(a, np.roll(a, 1, 1), reach=0) == 0
    assert edges.agreement(a, np.roll(a, 8, 1)) == 0
    assert edges.agreement(a & False, a & False) == 1


def check_scenes(tokens):
    rng = random.Random("free scenes")
    counts = set()
    for number in range(400):
        side = world.SIDES[number % 2]
        scene, text = control.control_scene(rng, side, tokens, control.SHARES)
        assert tokens.count(text) + tokens.around <= control.LENGTH, text
        if isinstance(scene, control.FreeScene):
            counts.add(len(scene.things))
            assert len(scene.places) == len(scene.things)
            for size, left, top, _ in scene.places:
                assert 0 <= left <= side - size and 0 <= top <= side - size, scene
    assert counts == set(control.COUNTS), counts
    scene = control.FreeScene("one", (3,), "white", 128, ((96, 8, 16, False),))
    mirrored = control.FreeScene("one", (3,), "white", 128, ((96, 24, 16, True),))
    assert (world.render(scene)[:, ::-1] == world.render(mirrored)).all()


@torch.no_grad()
def check_forward():
    torch.manual_seed(0)
    nano = Nano(make_transformer(), make_text_encoder(2507)).eval()
    final = nano.transformer.all_final_layer["2-1"].linear
    final.weight.normal_(0, 0.1)
    net = control.ControlNet(nano.transformer).eval()
    ids, mask = torch.randint(0, 2500, (2, 32)), torch.ones(2, 32, dtype=torch.bool)
    latents, maps, time = torch.randn(2, 16, 16, 16), torch.randn(2, 16, 16, 16), torch.tensor([0.3, 0.8])
    features = nano.text(ids)
    c = nano.caption(features, mask)
    plain = nano.velocity(latents, time, c)
    assert (nano.velocity(latents, time, c, net.hints(nano, maps)) == plain).all(), "an untrained net acts"
    for name, parameter in net.named_parameters():
        if "_proj" in name:
            parameter.normal_(0, 0.05)
    ours = nano.velocity(latents, time, c, net.hints(nano, maps, 0.7))
    assert (ours - plain).abs().max() > 0.01, "the net does nothing"
    theirs = net.net.from_transformer(net.net, nano.transformer)
    as_list = lambda x: list(x.unsqueeze(2).unbind(0))
    hints = theirs(as_list(latents), time, list(features), as_list(maps), conditioning_scale=0.7)
    out = nano.transformer(as_list(latents), time, list(features), controlnet_block_samples=hints,
                           return_dict=False)[0]
    difference = (torch.stack(out).squeeze(2) - ours).abs().max().item()
    assert difference < 1e-4, f"diffusers' output differs by {difference}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "Models" / "emoji-nano")
    arguments = parser.parse_args()
    check_maps()
    check_agreement()
    check_scenes(Prompts(arguments.model / "tokenizer"))
    check_forward()
    print("maps, scenes and forward pass are right")


if __name__ == "__main__":
    main()
