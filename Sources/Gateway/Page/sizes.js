// Part of Inkstone. Licence: see LICENSE.

/** Shapes that people ask for, wide ones beside their tall twins. */
export const ratios = [[1, 1], [4, 3], [3, 4], [3, 2], [2, 3], [16, 9], [9, 16]];

/** A side as the model can draw it. */
export function snapSide(value, unit, limit) {
  return Math.min(Math.max(Math.round(value / unit) * unit, unit), Math.floor(limit / unit) * unit);
}

/** The size of a shape with about the given number of pixels, within the limits. */
export function sizeOf([across, down], pixels, limits) {
  const scale = Math.min(
    Math.sqrt(pixels / (across * down)), limits.maximumWidth / across, limits.maximumHeight / down,
  );
  return {
    width: snapSide(across * scale, limits.sizeMultiple, limits.maximumWidth),
    height: snapSide(down * scale, limits.sizeMultiple, limits.maximumHeight),
  };
}

/** The size that keeps the shape of a picture and has about the given number of pixels. */
export function sizeLike(width, height, pixels, limits) {
  return sizeOf([width, height], pixels, limits);
}
