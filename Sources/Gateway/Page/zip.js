// Part of Inkstone. Licence: see LICENSE.

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = table[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** Numbers of 2 and 4 bytes, the lowest byte first: `[size, value]` each. */
function numbers(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let place = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(place, value, true);
    else view.setUint32(place, value, true);
    place += size;
  }
  return new Uint8Array(view.buffer);
}

/** A date as DOS has it, which begins in 1980. */
function dosTime(date) {
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  const day = (Math.max(0, date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
  return [[2, time], [2, day]];
}

/**
 * A ZIP archive of files, which are stored as they are: images are compressed already.
 *
 * `files` are `{ name, blob, date }`; equal names get a number.
 */
export async function zip(files) {
  const taken = new Map();
  const parts = [];
  const directory = [];
  let place = 0;
  for (const { name, blob, date } of files) {
    const count = taken.get(name) ?? 0;
    taken.set(name, count + 1);
    const title = new TextEncoder().encode(count === 0 ? name : name.replace(/(?=\.[^.]*$)|$/u, ` (${count + 1})`));
    const bytes = new Uint8Array(await blob.arrayBuffer());
    // Version 2.0, names in UTF-8, stored.
    const common = [[2, 20], [2, 0x800], [2, 0], ...dosTime(date), [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, title.length], [2, 0]];
    parts.push(numbers([4, 0x04034b50], ...common), title, blob);
    directory.push(numbers([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, place]), title);
    place += 30 + title.length + bytes.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  const end = numbers([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, length], [4, place], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}
