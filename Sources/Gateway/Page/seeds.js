// Part of Inkstone. Licence: see LICENSE.

// Seeds have 64 bits, of which JavaScript's numbers hold 53: they are text everywhere.

export const largestSeed = 2n ** 64n - 1n;

/** Whether a text is a seed. */
export const isSeed = (text) => /^\d{1,20}$/.test(text) && BigInt(text) <= largestSeed;

/** The seed that comes so many after another; the first follows the last. */
export const seedAfter = (seed, offset) => String(BigInt.asUintN(64, BigInt(seed) + BigInt(offset)));

/** A seed that is easy to read and to type. */
export const randomSeed = () => String(Math.floor(Math.random() * 2 ** 31));
