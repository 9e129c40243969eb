#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Writes samplers/goldens.json: noise levels and results of every sampler on a model with a known answer; and
samplers/transformer.safetensors: the latents after every step of diffusers' scheduler classes on a small transformer.

    make_sampler_fixtures.py        needs numpy, scipy, torch, safetensors and diffusers 0.42.1

The model: data are an even mixture of two Gaussians with means -0.5 and 1 and deviation 0.4; its prediction D is the exact
expectation of the image. Start x = 1, noise draw number k (from 0) = cos(k + 1). `toy` has results of the formulas below in
f64, `diffusers` the latents after every step of diffusers' scheduler classes, whose levels are overwritten: they truncate
times to integers otherwise. The transformer is that of control/base, with random features of a prompt; step noise comes
from a generator of its own, seed NOISE.
"""
import json
import math
import os

import diffusers
import numpy as np
import scipy.stats
import torch
from safetensors.torch import save_file

STEPS, SHIFT = 8, 3.0
LEVELS = [SHIFT * (1 - i / STEPS) / (1 + (SHIFT - 1) * (1 - i / STEPS)) for i in range(STEPS)] + [0.0]


def predict(x, s):
    a = 1 - s
    variance = 0.16 * a * a + s * s
    weights = [math.exp(-((x - a * mean) ** 2) / (2 * variance)) for mean in (-0.5, 1.0)]
    means = [mean + 0.16 * a / variance * (x - a * mean) for mean in (-0.5, 1.0)]
    return sum(w * m for w, m in zip(weights, means)) / sum(weights)


class Noise:
    count = 0

    def __call__(self):
        self.count += 1
        return math.cos(self.count)


calls = 0


def den(x, s):
    global calls
    calls += 1
    return predict(x, s)


def lam(s):
    return math.inf if s <= 0 else -math.inf if s >= 1 else math.log((1 - s) / s)


def phi1(t):
    return math.expm1(t) / t


def phi2(t):
    return (phi1(t) - 1) / t


# --- samplers


def euler(x, sig, **_):
    for a, b in zip(sig, sig[1:]):
        x = (b / a) * x + (1 - b / a) * den(x, a)
    return x


def heun(x, sig, **_):
    for a, b in zip(sig, sig[1:]):
        v = (x - den(x, a)) / a
        y = x + (b - a) * v
        x = y if b == 0 else x + (b - a) * (v + (y - den(y, b)) / b) / 2
    return x


def dpm2(x, sig, **_):
    for a, b in zip(sig, sig[1:]):
        v = (x - den(x, a)) / a
        if b > 0:
            m = math.sqrt(a * b)
            y = x + (m - a) * v
            v = (y - den(y, m)) / m
        x = x + (b - a) * v
    return x


def down(a, b, eta):
    d = b * (1 + (b / a - 1) * eta)
    g = (1 - b) / (1 - d)
    return d, g, math.sqrt(max(b * b - (d * g) ** 2, 0))


def euler_a(x, sig, eta=1.0, noise=None):
    for a, b in zip(sig, sig[1:]):
        d0 = den(x, a)
        if b == 0:
            return d0
        d, g, r = down(a, b, eta)
        x = g * ((d / a) * x + (1 - d / a) * d0) + r * noise()


def dpmpp_2s_a(x, sig, eta=1.0, noise=None):
    for a, b in zip(sig, sig[1:]):
        d0 = den(x, a)
        if b == 0:
            return d0
        d, g, r = down(a, b, eta)
        m = 0.9999 if a >= 1 else 1 / (1 + math.sqrt((1 - a) / a * (1 - d) / d))
        d0 = den((m / a) * x + (1 - m / a) * d0, m)
        x = g * ((d / a) * x + (1 - d / a) * d0) + r * noise()


def lcm(x, sig, noise=None, **_):
    for a, b in zip(sig, sig[1:]):
        x = den(x, a)
        if b > 0:
            x = (1 - b) * x + b * noise()
    return x


def dpmpp_2m(x, sig, axis=lam, **_):
    old = None
    for i, (a, b) in enumerate(zip(sig, sig[1:])):
        d0 = den(x, a)
        dd = d0
        if old is not None and b > 0:
            q = (axis(b) - axis(a)) / (axis(a) - axis(sig[i - 1]))
            dd = (1 + q / 2) * d0 - (q / 2) * old
        x = (b / a) * x + (1 - b / a) * dd
        old = d0
    return x


def dpmpp_2m_sde(x, sig, eta=1.0, noise=None):
    old = None
    for i, (a, b) in enumerate(zip(sig, sig[1:])):
        d0 = den(x, a)
        if b == 0:
            return d0
        h = lam(b) - lam(a)
        e = math.exp(-h * eta)
        c = (1 - b) * (1 - math.exp(-h * (1 + eta)))
        x = (b / a) * e * x + c * d0
        if old is not None and math.isfinite(lam(sig[i - 1])):
            x += 0.5 * c * h / (lam(a) - lam(sig[i - 1])) * (d0 - old)
        x += b * math.sqrt(1 - math.exp(-2 * h * eta)) * noise()
        old = d0


def res_multistep(x, sig, **_):
    old = None
    for i, (a, b) in enumerate(zip(sig, sig[1:])):
        d0 = den(x, a)
        if b == 0 or old is None:
            x = (b / a) * x + (1 - b / a) * d0
        else:
            h = math.log(a / b)
            b2 = phi2(-h) / (-math.log(sig[i - 1] / a) / h)
            x = math.exp(-h) * x + h * ((phi1(-h) - b2) * d0 + b2 * old)
        old = d0
    return x


def res_2s(x, sig, **_):
    for a, b in zip(sig, sig[1:]):
        d0 = den(x, a)
        if b == 0:
            return d0
        h = math.log(a / b)
        y = x + h * 0.5 * phi1(-h * 0.5) * (d0 - x)
        d1 = den(y, a * math.exp(-h * 0.5))
        x = x + h * ((phi1(-h) - 2 * phi2(-h)) * (d0 - x) + 2 * phi2(-h) * (d1 - x))


def er_sde(x, sig, eta=1.0, noise=None):
    sig = list(sig)
    if sig[0] >= 1:
        sig[0] = SHIFT * (1 - 1e-4) / (1 + (SHIFT - 1) * (1 - 1e-4))
    ratio = [s / (1 - s) for s in sig]

    def f(ratio):
        return ratio * (math.exp(ratio**0.3) + 10)

    old = older = None
    for i, (a, b) in enumerate(zip(sig, sig[1:])):
        d0 = den(x, a)
        if b == 0:
            return d0
        ls, lt = ratio[i], ratio[i + 1]
        r = f(lt) / f(ls)
        x = (1 - b) / (1 - a) * r * x + (1 - b) * (1 - r) * d0
        if old is not None:
            dt = lt - ls
            points = [lt + p * -dt / 200 for p in range(200)]
            d1 = (d0 - old) / (ls - ratio[i - 1])
            x += (1 - b) * (dt + sum(1 / f(p) for p in points) * -dt / 200 * f(lt)) * d1
            if older is not None:
                moment = sum((p - ls) / f(p) for p in points) * -dt / 200
                x += (1 - b) * (dt * dt / 2 + moment * f(lt)) * (d1 - older) / ((ls - ratio[i - 2]) / 2)
            older = d1
        if eta > 0:
            x += (1 - b) * math.sqrt(max(lt * lt - ls * ls * r * r, 0)) * eta * noise()
        old = d0


def run(sampler, levels, **options):
    global calls
    calls = 0
    return {"result": sampler(1.0, levels, noise=Noise(), **options), "evaluations": calls}


def toy():
    rows = {
        "euler": (euler, {}), "heun": (heun, {}), "dpm_2": (dpm2, {}), "dpmpp_2m_lambda": (dpmpp_2m, {}),
        "dpmpp_2m": (dpmpp_2m, {"axis": lambda s: -math.log(s)}), "res_multistep": (res_multistep, {}),
        "res_2s": (res_2s, {}), "euler_ancestral": (euler_a, {}), "euler_ancestral 0.5": (euler_a, {"eta": 0.5}),
        "dpmpp_2s_ancestral": (dpmpp_2s_a, {}), "dpmpp_2m_sde": (dpmpp_2m_sde, {}),
        "dpmpp_2m_sde 0.5": (dpmpp_2m_sde, {"eta": 0.5}), "lcm": (lcm, {}), "er_sde": (er_sde, {}),
        "er_sde 0": (er_sde, {"eta": 0.0}),
    }  # fmt: skip
    return {
        name: {"whole": run(f, LEVELS, **options), "tail": run(f, LEVELS[3:], **options)}
        for name, (f, options) in rows.items()
    }


# --- levels


def lists(steps, shift):
    def sh(u):
        return shift * u / (1 + (shift - 1) * u)

    table = [sh(k / 1000) for k in range(1, 1001)]

    def beta(a, b):
        places = []
        for q in scipy.stats.beta.ppf([1 - i / steps for i in range(steps)], a, b):
            place = int(np.rint(q * 999))
            if not places or place != places[-1]:
                places.append(place)
        return [table[k] for k in places] + [0]

    def tangent(n, slope, pivot, hi, lo):
        def a(x):
            return 0.5 + math.atan(-slope * (x - pivot)) / math.pi

        return [lo + (hi - lo) * (a(x) - a(n - 1)) / (a(0) - a(n - 1)) for x in range(n)]

    def quadratic():
        # ComfyUI's linear_quadratic_schedule, which is Mochi's.
        linear = steps // 2
        rest = steps - linear
        difference = linear - 0.025 * steps
        square = difference / (linear * rest**2)
        slope = 0.025 / linear - 2 * difference / rest**2
        straight = [i * 0.025 / linear for i in range(linear)]
        curve = [square * i**2 + slope * i + square * linear**2 for i in range(linear, steps)]
        return [1 - x for x in straight + curve + [1.0]]

    n = steps + 2
    m = int(0.6 * n)
    lo = table[0]
    even = [i / (steps - 1) for i in range(steps)]
    u = [1 - i / steps for i in range(steps)]
    return {
        "default": [sh(v) for v in u] + [0],
        "simple": [table[-1 - int(i * 1000 / steps)] for i in range(steps)] + [0],
        "sgm_uniform": [sh(1 + (lo - 1) * i / steps) for i in range(steps)] + [0],
        "normal": [sh(1 + (lo - 1) * v) for v in even] + [0],
        "beta": beta(0.6, 0.6),
        "beta57": beta(0.5, 0.7),
        "karras": [(1 + v * (lo ** (1 / 7) - 1)) ** 7 for v in even] + [0],
        "exponential": [math.exp(v * math.log(lo)) for v in even] + [0],
        "kl_optimal": [math.tan(v * math.atan(lo) + (1 - v) * math.atan(1)) for v in even] + [0],
        "ddim_uniform": table[1 :: max(1000 // steps, 1)][::-1] + [0],
        "linear_quadratic": quadratic(),
        "bong_tangent": tangent(m, 8 / n, m, 1, 0.5)[:-1] + tangent(n - m, 8 / n, 0, 0.5, 0),
        "smoothstep": [table[round(999 * v * v * (3 - 2 * v))] for v in u] + [0],
    }


# --- diffusers


def answer(x, level):
    """The velocity of the model with a known answer."""
    return (x - predict(float(x), level)) / level


def drive(scheduler, evaluate=answer, start=None):
    """Runs a scheduler's class on a model; returns the latents after each step."""
    x = torch.tensor([[[[1.0]]]], dtype=torch.float64) if start is None else start.double()
    after = []
    for t in scheduler.timesteps:
        i = scheduler.step_index if scheduler.step_index is not None else (scheduler.begin_index or 0)
        isheun = isinstance(scheduler, diffusers.FlowMatchHeunDiscreteScheduler)
        level = float(t) / 1000 if isheun else float(scheduler.sigmas[i])
        x = scheduler.step(evaluate(x, level), t, x, return_dict=False)[0].double()
        after.append(float(x) if start is None else x.float())
    return after


def toy_noise():
    noise = Noise()
    return lambda shape: torch.full(tuple(shape), noise(), dtype=torch.float64)


def rigged(make=toy_noise):
    """Replaces the noise of the scheduler classes by numbers of `make`."""
    import diffusers.schedulers.scheduling_dpmsolver_multistep as dpm
    import diffusers.schedulers.scheduling_flow_match_lcm as lcm_class

    numbers = make()

    def draw(shape, **_):
        return numbers(shape)

    for module in (dpm, lcm_class):
        module.randn_tensor = draw


def multistep(cls, levels, **options):
    s = cls(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, **options)
    s.set_timesteps(len(levels) - 1)
    s.sigmas = torch.tensor(levels, dtype=torch.float64)
    s.timesteps = torch.tensor([1000 * v for v in levels[:-1]], dtype=torch.float64)
    s.num_inference_steps = len(levels) - 1
    s.set_begin_index(0)
    return s


def reference(evaluate=answer, start=None, make=toy_noise):
    rows = {}

    def add(name, levels, scheduler, **options):
        rows[name] = {"levels": levels, "after": drive(scheduler, evaluate, start), **options}

    s = diffusers.FlowMatchEulerDiscreteScheduler(shift=SHIFT)
    s.set_timesteps(sigmas=[1 - i / STEPS for i in range(STEPS)])
    add("euler", s.sigmas.tolist(), s)
    s = diffusers.FlowMatchHeunDiscreteScheduler(shift=SHIFT)
    s.set_timesteps(STEPS)
    add("heun", sorted(set(s.sigmas.tolist()), reverse=True), s)
    rigged(make)
    s = diffusers.FlowMatchLCMScheduler(shift=SHIFT)
    s.set_timesteps(sigmas=[1 - i / STEPS for i in range(STEPS)])
    add("lcm", s.sigmas.tolist(), s)
    s = diffusers.LTXEulerAncestralRFScheduler(eta=1.0)
    s.set_timesteps(sigmas=LEVELS)
    s.timesteps = s.timesteps[:-1]
    numbers, real = make(), torch.randn
    shape = (1, 1, 1, 1) if start is None else start.shape

    def draw(*_, **__):
        # The numbers of `make` may come from the function that this one replaces.
        torch.randn = real
        result = numbers(shape)
        torch.randn = draw
        return result

    torch.randn = draw
    add("euler_ancestral", LEVELS, s)
    torch.randn = real
    near = [1 - 1e-6] + LEVELS[1:]
    for tag, levels in (("whole", near), ("tail", LEVELS[3:])):
        s = multistep(diffusers.DPMSolverMultistepScheduler, levels)
        add(f"dpmpp_2m_lambda {tag}", levels, s)
        rigged(make)
        s = multistep(diffusers.DPMSolverMultistepScheduler, levels, algorithm_type="sde-dpmsolver++")
        add(f"dpmpp_2m_sde {tag}", levels, s)
        for order in (2, 3):
            s = multistep(diffusers.UniPCMultistepScheduler, levels, solver_order=order)
            add(f"uni_pc {tag} {order}", levels, s, order=order)
    return rows


# --- a small transformer

NOISE, TOKENS = 5, 20


@torch.no_grad()
def transformer(here):
    folder = os.path.join(os.path.dirname(here), "control", "base", "transformer")
    model = diffusers.ZImageTransformer2DModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(25)
    features = torch.randn(TOKENS, model.config.cap_feat_dim, generator=generator)
    start = torch.randn(1, model.config.in_channels, 4, 6, generator=generator)

    def evaluate(x, level):
        # As the pipeline states the time, in f32.
        time = (1000 - torch.tensor([level], dtype=torch.float32) * 1000) / 1000
        output = model([x[0].float().unsqueeze(1)], time, [features], return_dict=False)[0][0]
        return -output.squeeze(1)[None].double()

    def step_noise():
        generator = torch.Generator().manual_seed(NOISE)
        return lambda shape: torch.randn(tuple(shape), generator=generator).double()

    tensors = {"features": features, "latents": start[0]}
    for name, row in reference(evaluate, start, step_noise).items():
        # Their levels are those of the same name in goldens.json.
        tensors[name] = torch.cat(row["after"])
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, os.path.join(here, "transformer.safetensors"))


# --- noise and sizes


def randn(seed, shape, generator=None):
    generator = generator or torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator)


def slerp(val, low, high):
    """AUTOMATIC1111's modules/rng.py."""
    low_norm = low / torch.norm(low, dim=1, keepdim=True)
    high_norm = high / torch.norm(high, dim=1, keepdim=True)
    dot = (low_norm * high_norm).sum(1)
    if dot.mean() > 0.9995:
        return low * val + high * (1 - val)
    omega = torch.acos(dot)
    so = torch.sin(omega)
    return (torch.sin((1.0 - val) * omega) / so).unsqueeze(1) * low + (torch.sin(val * omega) / so).unsqueeze(1) * high


def first_noise(shape, seed, subseed, strength, source):
    """ImageRNG.first of the same file, and the four numbers that its generator draws next."""
    generator = torch.Generator().manual_seed(seed)
    source = source or shape
    noise = randn(seed, source) if source != shape else randn(seed, shape, generator)
    if strength:
        noise = slerp(strength, noise, randn(subseed, source))
    if source != shape:
        x = randn(seed, shape, generator)
        dx = (shape[2] - source[2]) // 2
        dy = (shape[1] - source[1]) // 2
        w = source[2] if dx >= 0 else source[2] + 2 * dx
        h = source[1] if dy >= 0 else source[1] + 2 * dy
        tx, ty = max(dx, 0), max(dy, 0)
        dx, dy = max(-dx, 0), max(-dy, 0)
        x[:, ty : ty + h, tx : tx + w] = noise[:, dy : dy + h, dx : dx + w]
        noise = x
    return {
        "shape": shape, "seed": seed, "subseed": subseed, "strength": strength, "source": source[1:],
        "noise": noise.flatten().tolist(), "next": torch.randn(16, generator=generator).tolist(),
    }  # fmt: skip


def noises():
    rows = [
        ([2, 6, 4], 7, 9, 0.3, None), ([2, 6, 4], 7, 9, 1.0, None), ([2, 6, 4], 5, 5, 0.4, None),
        ([2, 6, 4], 7, 0, 0.0, [2, 4, 8]), ([2, 5, 4], 7, 9, 0.5, [2, 8, 3]),
    ]  # fmt: skip
    return [first_noise(*row) for row in rows]


def sizes():
    planes = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(3))
    modes = {"latent": "bilinear", "latent_bicubic": "bicubic", "latent_nearest": "nearest-exact"}
    rows = {
        name: torch.nn.functional.interpolate(planes[None], size=(7, 10), mode=mode).flatten().tolist()
        for name, mode in modes.items()
    }
    return {"planes": planes.flatten().tolist(), "enlarged": rows}


def main():
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samplers")
    os.makedirs(here, exist_ok=True)
    goldens = {
        "levels": [
            {"steps": n, "shift": s, "lists": lists(n, s)} for n, s in ((3, 1.0), (8, 3.0), (20, 6.0), (50, 3.0))
        ],
        "toy": toy(),
        "diffusers": reference(),
        "noise": noises(),
        "sizes": sizes(),
    }
    rounded = json.loads(json.dumps(goldens), parse_float=lambda text: round(float(text), 9))
    with open(os.path.join(here, "goldens.json"), "w") as file:
        json.dump(rounded, file, indent=1, sort_keys=True)
        file.write("\n")
    transformer(here)


if __name__ == "__main__":
    main()
