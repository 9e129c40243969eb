# Part of Inkstone. Licence: see LICENSE.
"""Joint training of transformer and text encoder by flow matching.

`x = (1 - sigma) x0 + sigma noise`; the transformer receives `1 - sigma` and returns `x0 - noise`. The
place is a function of the prompt and the sprites are few, so most of what there is to learn is learnt
at high noise: sigmas are drawn from a logit-normal law with its middle at 0.71.
"""

import random

import numpy as np
import torch

from . import prompts, world
from .autoencoder import decode, encode, load_autoencoder, to_pictures, to_tensor
from .optimizer import Optimizer
from .stage import Stage, generator_for
from .text import Heads, labels, make_nano, register_loss, scale_at, sprite_codes

SIGMA_MIDDLE, SIGMA_SPREAD = 0.9, 1.2
EMPTY_SHARE = 0.08
REGISTER_WEIGHT = 0.1
LENGTHS = (96, 128, 160, 192, 224)  # of the longest prompts, in tokens
SHIFT = 3.0  # of the scheduler, as in Turbo

SAMPLES = [
    "a red apple on a blue background", "蓝色背景上的红苹果", "a cat and a rocket", "黄色背景上的熊猫",
    "a teapot and a candle, beige background", "香蕉、足球和吉他", "a tiny snail", "粉色背景，戒指在蘑菇上方",
    "three tigers in the snow", "两只兔子在草地上", "a cowboy riding a horse", "戴着皇冠的狮子",
    "portrait of an old man, oil painting", "一位医生的肖像", "full body photo of a man on the street", "站在森林里的女人",
    "a puppy at the beach, 4k, cinematic", "夜晚的城堡", "mountains at night", "大海上的日落",
    "an astronaut in space", "四个草莓，绿色背景", "MONKEY, LIVING ROOM", "一只 fox in the forest",
    "two cars in a city at night", "厨师拿着鱼", "a pot of mustard", "一个栅栏，红色背景",
    "a dragon above a castle, epic", "小女孩抱着泰迪熊", "Jack with his guitar", "宝剑，摄影棚"]


@torch.no_grad()
def scene_cache(run, side):
    """Encoded scenes: `(latents [n, 16, side / 8, side / 8] in bf16, scenes)`, made once."""
    budget = run.budget
    shares = {"fresh": run.fresh_things()}
    if side == 128:
        count = budget.cached_scenes
    else:
        count, shares["singles"] = budget.cached_large, budget.large_singles
    path = run.path(f"scenes-{side}.pt")
    if not path.exists():
        model = load_autoencoder(run)
        rng = random.Random(f"{run.seed} scenes {side}")
        scenes = [prompts.training_scene(rng, side, **shares) for _ in range(count)]
        parts = []
        for start in range(0, count, 32):
            x = to_tensor(np.stack([world.render(s) for s in scenes[start:start + 32]]))
            with run.autocast():
                parts.append(encode(model, x.to(run.device)).bfloat16())
            if start % 3200 == 0:
                run.say(f"encoding scenes of {side} pixels: {start} of {count}")
        run.save(path.name, {"latents": torch.cat(parts), "scenes": scenes})
    saved = torch.load(path, weights_only=False, map_location=run.device)
    return saved["latents"], saved["scenes"]


def sigmas(steps):
    """The scheduler's noise levels, with the final zero."""
    s = torch.linspace(1, 1 / steps, steps)
    return torch.cat([SHIFT * s / (1 + (SHIFT - 1) * s), torch.zeros(1)])


@torch.no_grad()
def sample(run, model, tokens, texts, side=128, steps=8, guidance=0.0, seed=0, length=None):
    """Latents of one picture a prompt, by Euler steps as the pipeline takes them."""
    count = len(texts)
    ids, mask = (part.to(run.device) for part in tokens.batch(list(texts) + [""] * count, length))
    shape = (count, 16, side // 8, side // 8)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(run.device)
    levels = sigmas(steps)
    with run.autocast():
        features = model.text(ids)
        for now, after in zip(levels, levels[1:]):
            time = (1 - now).expand(count).to(run.device)
            if guidance:
                both = model.predict(torch.cat([x, x]), torch.cat([time, time]), features, mask).float()
                v = both[:count] + guidance * (both[:count] - both[count:])
            else:
                v = model.predict(x, time, features[:count], mask[:count]).float()
            x = x - (after - now).item() * v
    return x


def add_noise(stage, step, x0):
    """`(mixed, noise, sigma)` of a step: pictures at noise levels drawn for each."""
    generator = generator_for(stage, step)
    noise = torch.randn(x0.shape, generator=generator).to(x0.device)
    spread = torch.randn(len(x0), generator=generator).to(x0.device)
    sigma = torch.sigmoid(spread * SIGMA_SPREAD + SIGMA_MIDDLE)
    return torch.lerp(x0, noise, sigma[:, None, None, None]), noise, sigma


class JointStage(Stage):
    name = "joint"

    def __init__(self, run):
        super().__init__(run, steps=run.budget.joint_steps)
        self.tokens, self.model = make_nano(run)
        text = torch.load(run.path("text.pt"), map_location="cpu")
        self.model.text_encoder.load_state_dict(
            {n.removeprefix("text_encoder."): v for n, v in text.items() if n.startswith("text_encoder.")})
        self.heads = Heads()
        self.heads.load_state_dict(
            {n.removeprefix("heads."): v for n, v in text.items() if n.startswith("heads.")})
        self.heads.to(run.device).requires_grad_(False)
        self.codes = sprite_codes(run)
        self.cache = {side: scene_cache(run, side) for side in world.SIDES}
        self.make_average(self.model, 0.995)
        self.average.tables = {}
        named = self.model.trained_parameters()
        is_matrix = self.model.is_matrix
        rate = 2.5e-3 if run.start_from else 3e-3
        self.optimizer = Optimizer([p for n, p in named if is_matrix(n, p)],
                                   [p for n, p in named if not is_matrix(n, p)],
                                   rate, 2e-3, decay=0.01)
        self.run_model = torch.compile(self.model, dynamic=False) if run.compile else self.model
        self.autoencoder = load_autoencoder(run)

    def kind(self, step):
        """`(side, text length)` of a step's batch; three in twelve have long prompts."""
        if step % 12 == 2:
            return 128, 64
        if step % 6 == 5:
            return 128, LENGTHS[step // 6 % len(LENGTHS)]
        if step >= self.run.budget.large_from * self.steps and (step - 1) % 3 < self.run.budget.large_thirds:
            return 192, 32
        return 128, 32

    def batch(self, step):
        side, length = self.kind(step)
        count = self.run.budget.batch if side == 128 else self.run.budget.batch // 2
        if length > 64:  # a batch that costs about as much
            count = max(4, count * 96 // (64 + length))
        rng = random.Random(f"{self.run.seed} {self.name} {step}")
        latents, scenes = self.cache[side]
        chosen = [rng.randrange(len(scenes)) for _ in range(count)]
        pairs = [prompts.training_caption(scenes[i], rng, self.tokens, length, long=length > 32) for i in chosen]
        texts = ["" if rng.random() < EMPTY_SHARE else text for text, _ in pairs]
        ids, mask = self.tokens.batch(texts, length)
        targets = torch.tensor([labels(scenes[i], named) for i, (_, named) in zip(chosen, pairs)])
        told = torch.tensor([bool(text) for text in texts])
        return latents[torch.tensor(chosen)], ids, mask, targets, told

    def train_step(self, step, batch):
        device = self.run.device
        x0, ids, mask, targets, told = (part.to(device) for part in batch)
        x0 = x0.float()
        mixed, noise, sigma = add_noise(self, step, x0)
        # Not worth a minute of compilation each: the lengths that come up once in sixty steps.
        forward = self.model if ids.shape[1] in LENGTHS else self.run_model
        with self.run.autocast():
            velocity, features = forward(mixed, 1 - sigma, ids, mask)
        each = (velocity - (x0 - noise)).square().mean((1, 2, 3))
        registers, accuracy = register_loss(features[told], mask[told], targets[told], self.heads, self.codes)
        (each.mean() + REGISTER_WEIGHT * registers).backward()
        self.optimizer.step(scale_at(step, self.steps, 60, 0.6))
        high = each[sigma > 0.7]
        return {"loss": each.mean().item(), "high": high.mean().item() if len(high) else 0.0,
                "registers": registers.item(), "accuracy": accuracy.item()}

    def report(self):
        for side in world.SIDES:
            latents = sample(self.run, self.average, self.tokens, SAMPLES, side)
            with torch.no_grad():
                pictures = to_pictures(decode(self.autoencoder, latents).cpu())
            self.run.save_grid(f"{self.name}-{self.done:06d}-{side}.png", pictures, columns=8)
        return {}

    def finish(self):
        self.run.save(f"{self.name}.pt", self.average.state_dict())
