# Part of Inkstone. Licence: see LICENSE.
"""Maps of edges as `Sources/ControlMaps` makes them, bit for bit, and how well two of them agree."""

import math

import numpy as np

LOW, HIGH = 100, 200  # thresholds of the hysteresis, on sums of absolute gradients
SIGMA, TAPS = 1.4, 5


def luminance(pictures):
    """uint8 `[..., 3]` to int32, in units of 2^-15, rounded."""
    wide = pictures.astype(np.int32)
    return (9798 * wide[..., 0] + 19235 * wide[..., 1] + 3735 * wide[..., 2] + (1 << 14)) >> 15


def fixed_kernel():
    """Gaussian weights in units of 1/256, which sum to 256: rounding errors are carried to the centre."""
    exact = [math.exp(-(i - TAPS // 2) ** 2 / (2 * SIGMA ** 2)) for i in range(TAPS)]
    weights, error = [0] * TAPS, 0.0
    for i in range(TAPS // 2):
        adjusted = exact[i] / sum(exact) * 256 + error
        weights[i] = weights[TAPS - 1 - i] = round(adjusted)
        error = adjusted - round(adjusted)
    weights[TAPS // 2] = 256 - sum(weights)
    return weights


def blurred(grey):
    """`[n, h, w]`, continued by reflection without repeating the edge."""
    reach, weights = TAPS // 2, fixed_kernel()
    height, width = grey.shape[1:]
    wide = np.pad(grey, ((0, 0), (0, 0), (reach, reach)), mode="reflect")
    rows = sum(w * wide[:, :, i:i + width] for i, w in enumerate(weights))
    tall = np.pad(rows, ((0, 0), (reach, reach), (0, 0)), mode="reflect")
    sums = sum(w * tall[:, i:i + height] for i, w in enumerate(weights))
    return np.minimum(255, (sums + (1 << 15)) >> 16)


def gradients(grey):
    """Sobel's; the image is continued by its edge."""
    p = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    column = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    row = p[:, :, :-2] + 2 * p[:, :, 1:-1] + p[:, :, 2:]
    return column[:, :, 2:] - column[:, :, :-2], row[:, 2:] - row[:, :-2]


def shifted(values, dy, dx):
    """`values` at (y + dy, x + dx); 0, or false, outside."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    height, width = values.shape[1:]
    return padded[:, 1 + dy:1 + dy + height, 1 + dx:1 + dx + width]


def maxima(gx, gy, magnitude):
    """Whether a pixel is the largest across its edge."""
    at = lambda dy, dx: shifted(magnitude, dy, dx)
    slope, rise = np.abs(gx).astype(np.int64) * 13573, np.abs(gy).astype(np.int64) << 15
    flat = (magnitude > at(0, -1)) & (magnitude >= at(0, 1))
    steep = (magnitude > at(-1, 0)) & (magnitude >= at(1, 0))
    falling = (magnitude > at(-1, 1)) & (magnitude > at(1, -1))
    rising = (magnitude > at(-1, -1)) & (magnitude > at(1, 1))
    diagonal = np.where((gx ^ gy) < 0, falling, rising)
    return np.where(rise < slope, flat,
                    np.where(rise > slope + (np.abs(gx).astype(np.int64) << 16), steep, diagonal))


def dilated(edges):
    """The edges and the eight neighbours of each."""
    tall = edges | shifted(edges, -1, 0) | shifted(edges, 1, 0)
    return tall | shifted(tall, 0, -1) | shifted(tall, 0, 1)


def canny(pictures, low=LOW, high=HIGH):
    """uint8 `[n, h, w, 3]` to bool `[n, h, w]`."""
    gx, gy = gradients(blurred(luminance(pictures)))
    magnitude = np.abs(gx) + np.abs(gy)
    weak = maxima(gx, gy, magnitude) & (magnitude > low)
    edges = weak & (magnitude > high)
    while True:
        grown = dilated(edges) & weak
        if (grown == edges).all():
            return edges
        edges = grown


def as_pictures(edges):
    """White on black, uint8 `[n, h, w, 3]`."""
    return np.repeat(edges[..., None] * np.uint8(255), 3, -1)


def agreement(a, b, reach=1):
    """Intersection over union of each pair of maps, each dilated by `reach` pixels; 1 for two empty ones."""
    for _ in range(reach):
        a, b = dilated(a), dilated(b)
    both, either = (a & b).sum((1, 2)), (a | b).sum((1, 2))
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))
