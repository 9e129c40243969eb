# Part of Inkstone. Licence: see LICENSE.
"""A ControlNet for a finished model: from a map of edges to the picture.

The net is of version 1.0 of Z-Image's ControlNets: a block that reads the map's latents, and a control
layer whose hint follows the transformer's first layer. Both start as copies of the transformer's own
blocks, and the projection that makes the hint at zero, so that an untrained net changes nothing.
The model itself stays as it is, and so does what it can draw: drawings on the grid of its tokens. Most
scenes therefore have their things on that grid, in sizes of the world, but not where the world has them;
some have them anywhere, in free sizes, half of them mirrored. The prompt never says where: the map does.
"""

import copy
import dataclasses
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import ZImageControlNetModel

from . import captions, edges, prompts, speech, world
from .autoencoder import decode, encode, load_autoencoder, to_pictures, to_tensor
from .joint import SHIFT, sigmas
from .model import HEADS, WIDTH, patches_of
from .optimizer import Optimizer
from .stage import Stage, generator_for
from .text import make_nano

# Of scenes by where their things are: on the grid of tokens in sizes of the world, anywhere, or as the world has them.
SHARES = {"aligned": 0.65, "free": 0.2, "own": 0.15}
EMPTY_SHARE = 0.12
LENGTH = 32  # of prompts, in tokens
COUNTS = {1: 0.45, 2: 0.3, 3: 0.15, 4: 0.1}  # things of a free scene
LAYOUTS = {1: "one", 2: "beside", 3: "three", 4: "four"}
# Side of a sprite as a share of the picture's.
SIZES = {1: (0.5, 0.95), 2: (0.42, 0.62), 3: (0.38, 0.5), 4: (0.35, 0.46)}
ALIGNED_COUNTS = {1: 0.45, 2: 0.35, 3: 0.2}
ALIGNED_SIZES = {128: (96, 64), 192: (128, 96)}  # of a thing alone; several are of the second
GRID = 16  # pixels of a token
LEAST_EDGES = 0.01  # of a map's pixels
OVERLAP = 0.1  # of the smaller of two sprites' squares
SIDE = 128  # of the pictures that are trained on
VALIDATION = 32


# MARK: the net

class ControlNet(nn.Module):
    def __init__(self, transformer):
        super().__init__()
        self.net = ZImageControlNetModel(
            control_layers_places=[0], control_in_dim=16, dim=WIDTH, n_refiner_layers=1, n_heads=HEADS,
            n_kv_heads=HEADS)
        self.net.control_all_x_embedder.load_state_dict(transformer.all_x_embedder.state_dict())
        self.net.control_noise_refiner.load_state_dict(transformer.noise_refiner.state_dict())
        self.net.control_layers[0].load_state_dict(transformer.layers[0].state_dict(), strict=False)
        # The map is there from the first step; the hint alone starts at zero, so that the net changes nothing.
        nn.init.orthogonal_(self.net.control_layers[0].before_proj.weight, 0.5)

    def hints(self, nano, maps, strength=1.0):
        """For `Nano.velocity`: what latents of maps add to the tokens."""
        net = self.net

        def control(x, c, grid, both, modulation):
            stream = net.control_all_x_embedder["2-1"](patches_of(maps))
            stream = nano.block(net.control_noise_refiner[0], stream, grid, modulation)
            layer = net.control_layers[0]
            stream = layer.before_proj(torch.cat([stream, c], 1)) + x
            stream = nano.block(layer, stream, both, modulation)
            return {0: strength * layer.after_proj(stream)}

        return control

    def optimizer(self, rate, other_rate):
        named = list(self.named_parameters())
        is_matrix = lambda n, p: p.ndim == 2 and "adaLN" not in n and "embedder" not in n
        return Optimizer([p for n, p in named if is_matrix(n, p)],
                         [p for n, p in named if not is_matrix(n, p)], rate, other_rate)

    def save(self, folder):
        """A folder in diffusers' layout."""
        copy.deepcopy(self.net).cpu().bfloat16().save_pretrained(folder)
        for path in folder.iterdir():
            path.chmod(0o644)


@torch.no_grad()
def sample(run, nano, net, c, maps, noise, steps=8, strength=1.0):
    """Latents by Euler steps from refined captions, as the pipeline takes them; without a net if `None`."""
    control = net.hints(nano, maps, strength) if net else None
    x, levels = noise, sigmas(steps)
    with run.autocast():
        for now, after in zip(levels, levels[1:]):
            time = (1 - now).expand(len(x)).to(x.device)
            x = x - (after - now).item() * nano.velocity(x, time, c, control).float()
    return x


# MARK: scenes

@dataclasses.dataclass(frozen=True)
class FreeScene(world.Scene):
    placed: tuple  # for each thing (side of the sprite, left, top, mirrored)

    @property
    def places(self):
        return self.placed


def overlap(a, b):
    """Share of the smaller square that two squares `(side, left, top, ...)` have in common."""
    width = min(a[1] + a[0], b[1] + b[0]) - max(a[1], b[1])
    height = min(a[2] + a[0], b[2] + b[0]) - max(a[2], b[2])
    return max(0, width) * max(0, height) / min(a[0], b[0]) ** 2


def has_room(place, placed):
    return all(overlap(place, other) <= OVERLAP for other in placed)


def free_scene(rng, side):
    """One to four things anywhere."""
    count = rng.choices(list(COUNTS), list(COUNTS.values()))[0]
    placed = []
    while len(placed) < count:
        size = round(rng.uniform(*SIZES[count]) * side / 8) * 8
        place = (size, rng.randint(0, side - size), rng.randint(0, side - size), rng.random() < 0.5)
        if has_room(place, placed):
            placed.append(place)
        elif rng.random() < 0.03:  # the others leave no room
            placed = []
    return furnished(rng, side, placed)


def aligned_scene(rng, side):
    """One to three things on the grid of tokens, not all where the world has them."""
    count = rng.choices(list(ALIGNED_COUNTS), list(ALIGNED_COUNTS.values()))[0]
    size = rng.choice(ALIGNED_SIZES[side]) if count == 1 else ALIGNED_SIZES[side][1]
    known = [sorted(layout[side]) for layout in world.LAYOUTS.values()]
    placed = []
    while len(placed) < count:
        left, top = (GRID * rng.randint(0, (side - size) // GRID) for _ in range(2))
        if has_room((size, left, top), placed):
            placed.append((size, left, top))
        elif rng.random() < 0.1:
            placed = []
        if len(placed) == count and sorted(placed) in known:
            placed = []
    return furnished(rng, side, [(*place, False) for place in placed])


def furnished(rng, side, placed):
    layout = LAYOUTS[len(placed)]
    chosen = world.random_things(rng, layout, len(placed), frozenset())
    return FreeScene(layout, chosen, world.random_background(rng, layout), side, tuple(placed))


def free_caption(scene, rng, language, named):
    """The things and what is behind them, without a word about where they are."""
    grammar = speech.GRAMMARS[language]
    phrases = [grammar.thing(index, count, rng) for index, count in speech.groups_of(scene)]
    last = {"en": " and ", "zh": "和"}[language]
    comma = {"en": ", ", "zh": "、"}[language]
    text = comma.join(phrases[:-1]) + last + phrases[-1] if len(phrases) > 1 else phrases[0]
    return grammar.placed(text, grammar.where(scene.background, rng) if named else [], rng)


def control_scene(rng, side, tokens, shares):
    """`(scene, prompt)`."""
    kind = rng.choices(list(shares), list(shares.values()))[0]
    if kind == "own":
        scene = prompts.training_scene(rng, side)
        return scene, prompts.training_caption(scene, rng, tokens, LENGTH)[0]
    scene = free_scene(rng, side) if kind == "free" else aligned_scene(rng, side)
    while True:
        language = "zh" if rng.random() < captions.CHINESE_SHARE else "en"
        text = free_caption(scene, rng, language, rng.random() < 0.75)
        if tokens.count(text) + tokens.around <= LENGTH:
            return scene, text


def mapped_scenes(rng, side, tokens, count, shares=SHARES):
    """`(prompts, pictures, maps)` of scenes whose maps show something: what is pale on white has no edges."""
    texts, pictures, maps = [], [], []
    while len(texts) < count:
        scene, text = control_scene(rng, side, tokens, shares)
        picture = world.render(scene)
        found = edges.canny(picture[None])[0]
        if found.mean() >= LEAST_EDGES:
            texts.append(text)
            pictures.append(picture)
            maps.append(found)
    return texts, np.stack(pictures), np.stack(maps)


# MARK: training

@torch.no_grad()
def encoded(run, nano, autoencoder, tokens, texts, pictures, maps):
    """Latents of pictures and of their maps, cells with edges, and refined captions."""
    ids, mask = (part.to(run.device) for part in tokens.batch(texts, LENGTH))
    with run.autocast():
        latents = [encode(autoencoder, to_tensor(p).to(run.device)).bfloat16()
                   for p in (pictures, edges.as_pictures(maps))]
        c = nano.caption(nano.text(ids), mask).bfloat16()
    cells = F.max_pool2d(torch.from_numpy(maps)[:, None].float(), 8)[:, 0].bool().to(run.device)
    return {"pictures": latents[0], "maps": latents[1], "cells": cells, "captions": c}


def cache(run, nano, tokens):
    """What training reads of its scenes, made once."""
    path = run.path("control.pt")
    if not path.exists():
        count = run.budget.control_scenes
        autoencoder = load_autoencoder(run)
        rng = random.Random(f"{run.seed} control scenes {SIDE}")
        parts = []
        for start in range(0, count, 32):
            scenes = mapped_scenes(rng, SIDE, tokens, min(32, count - start))
            parts.append(encoded(run, nano, autoencoder, tokens, *scenes))
            if start % 800 == 0:
                run.say(f"encoding scenes and maps: {start} of {count}")
        run.save(path.name, {key: torch.cat([part[key] for part in parts]) for key in parts[0]})
    return torch.load(path, map_location=run.device)


class ControlStage(Stage):
    """`minutes` of training instead of the budget's steps: the learning rate then follows the time."""

    name = "control"

    def __init__(self, run, minutes=None):
        super().__init__(run, steps=run.budget.control_steps)
        self.minutes = minutes
        self.tokens, nano = make_nano(run)
        self.nano = nano.to(run.device).requires_grad_(False).eval()
        self.cache = cache(run, nano, self.tokens)
        with torch.no_grad(), run.autocast():
            ids, mask = (part.to(run.device) for part in self.tokens.batch([""], LENGTH))
            self.empty = nano.caption(nano.text(ids), mask).bfloat16()
        self.model = ControlNet(nano.transformer)
        self.make_average(self.model, 0.99)
        self.optimizer = self.model.optimizer(3e-3, 2e-3)
        self.forward = torch.compile(self.predict, dynamic=False) if run.compile else self.predict
        self.autoencoder = load_autoencoder(run)

    def predict(self, mixed, time, c, maps):
        return self.nano.velocity(mixed, time, c, self.model.hints(self.nano, maps))

    def progress(self):
        return min(1, self.seconds / (60 * self.minutes)) if self.minutes else super().progress()

    def batch(self, step):
        count = self.run.budget.control_batch
        rng = random.Random(f"{self.run.seed} {self.name} {step}")
        chosen = torch.tensor([rng.randrange(len(self.cache["maps"])) for _ in range(count)])
        batch = {key: part[chosen] for key, part in self.cache.items()}
        unasked = torch.tensor([rng.random() < EMPTY_SHARE for _ in range(count)], device=self.run.device)
        batch["captions"] = torch.where(unasked[:, None, None], self.empty, batch["captions"])
        return batch

    def train_step(self, step, batch):
        x0 = batch["pictures"].float()
        generator = generator_for(self, step)
        noise = torch.randn(x0.shape, generator=generator).to(x0.device)
        # As dense as the scheduler's levels, since places are decided at the highest ones.
        level = torch.rand(len(x0), generator=generator).to(x0.device)
        sigma = SHIFT * level / (1 + (SHIFT - 1) * level)
        mixed = torch.lerp(x0, noise, sigma[:, None, None, None])
        with self.run.autocast():
            velocity = self.forward(mixed, 1 - sigma, batch["captions"], batch["maps"])
        error = (velocity - (x0 - noise)).square().mean(1)
        # The net answers for edges; colours of plain areas are the model's.
        weight = 1 + 3 * batch["cells"].float()
        loss = (error * weight).mean() / weight.mean()
        loss.backward()
        self.optimizer.step(self.rate(step))
        high = error[sigma > 0.7]
        return {"loss": loss.item(), "plain": error.mean().item(),
                "high": high.mean().item() if len(high) else 0.0}

    def rate(self, step):
        """Linear warm-up, then a cosine to zero."""
        return min(1, (step + 1) / 20) * (0.01 + 0.495 * (1 + math.cos(math.pi * self.progress())))

    @torch.no_grad()
    def report(self):
        """Agreement of edges on scenes that are not trained on, with the net and without."""
        rng = random.Random(f"{self.run.seed} control validation")
        texts, pictures, wanted = mapped_scenes(rng, SIDE, self.tokens, VALIDATION, {"aligned": 1})
        data = encoded(self.run, self.nano, self.autoencoder, self.tokens, texts, pictures, wanted)
        noise = torch.randn(data["maps"].shape, generator=torch.Generator().manual_seed(0)).to(self.run.device)
        rows, values = [edges.as_pictures(wanted)], {}
        for name, net in (("without", None), ("with", self.average)):
            x = sample(self.run, self.nano, net, data["captions"], data["maps"], noise)
            pictures = to_pictures(decode(self.autoencoder, x).cpu())
            values[name] = edges.agreement(wanted, edges.canny(pictures)).mean()
            rows.append(pictures)
        sheet = np.concatenate([row[at:at + 8] for at in range(0, VALIDATION, 8) for row in rows])
        self.run.save_grid(f"control-{self.done:06d}.png", sheet, columns=8)
        return values

    def finish(self):
        self.average.save(self.run.path("edges"))
