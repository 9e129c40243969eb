// Part of Inkstone. Licence: see LICENSE.

/** Common aspect ratios, landscape beside portrait. */
export const ratios = [[1, 1], [4, 3], [3, 4], [3, 2], [2, 3], [16, 9], [9, 16]];

/** A side, rounded to what the model supports. */
export function snapSide(value, unit, limit) {
  return Math.min(Math.max(Math.round(value / unit) * unit, unit), Math.floor(limit / unit) * unit);
}

/** The size of an aspect ratio with about the given number of pixels, within the limits. */
export function sizeOf([across, down], pixels, limits) {
  const scale = Math.min(
    Math.sqrt(pixels / (across * down)), limits.maximumWidth / across, limits.maximumHeight / down,
  );
  return {
    width: snapSide(across * scale, limits.sizeMultiple, limits.maximumWidth),
    height: snapSide(down * scale, limits.sizeMultiple, limits.maximumHeight),
  };
}

/** The size with the aspect ratio of an image and about the given number of pixels. */
export function sizeLike(width, height, pixels, limits) {
  return sizeOf([width, height], pixels, limits);
}
