#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Write `controlmaps/`: an image and the maps that OpenCV makes of it, for the tests of the preprocessors.

Needs opencv-python-headless 5.0.0 and numpy; OpenCV is not a dependency of anything else here.
"""

import pathlib

import cv2
import numpy

FOLDER = pathlib.Path(__file__).resolve().parent / "controlmaps"
WIDTH, HEIGHT = 120, 88


def make_image():
    """Smooth colours, hard and soft edges in all directions, thin lines and noise, down to the border."""
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH].astype(numpy.float64)
    image = numpy.stack([60 + x, 200 - y, 90 + 60 * numpy.sin(x / 9) * numpy.cos(y / 7)], -1)
    image[numpy.hypot(x - 40, y - 36) < 24] = (220, 60, 40)
    image[(x > 70) & (x < 108) & (y > 20) & (y < 60)] = (30, 120, 210)
    soft = 1 / (1 + numpy.exp(-(x - 0.7 * y - 60) / 2))
    image = image * (1 - 0.4 * soft[..., None]) + 100 * 0.4 * soft[..., None]
    image[numpy.abs(y + 0.4 * x - 96) < 1] = 20
    image[numpy.abs(x - 12) < 0.6] = 250
    image += numpy.random.default_rng(3).normal(0, 4, image.shape)
    return image.clip(0, 255).round().astype(numpy.uint8)


def canny(grey, low, high):
    return cv2.Canny(cv2.GaussianBlur(grey, (5, 5), 1.4), low, high)


def scribble(image, contrast):
    exact = image.astype(numpy.float32)
    narrow, wide = (cv2.GaussianBlur(exact, (0, 0), s) for s in (0.5, 5.0))
    return numpy.where(2 * (wide - narrow).min(2) > contrast, 255, 0).astype(numpy.uint8)


def main():
    FOLDER.mkdir(exist_ok=True)
    image = make_image()
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    maps = {
        "image": image,
        "grey": grey,
        "canny-100-200": canny(grey, 100, 200),
        "canny-20-60": canny(grey, 20, 60),
        "blur-9": cv2.GaussianBlur(image, (0, 0), 9),
        "blur-1.3": cv2.GaussianBlur(image, (0, 0), 1.3),
        "scribble-32": scribble(image, 32),
        "scribble-8": scribble(image, 8),
        "threshold-127": cv2.threshold(grey, 127, 255, cv2.THRESH_BINARY)[1],
        "invert": cv2.bitwise_not(image),
    }
    for name, pixels in maps.items():
        stored = pixels[..., ::-1] if pixels.ndim == 3 else pixels
        cv2.imwrite(str(FOLDER / f"{name}.png"), stored)
        print(f"{name}: mean {pixels.mean():.1f}")


if __name__ == "__main__":
    main()
