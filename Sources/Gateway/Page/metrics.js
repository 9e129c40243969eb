// Part of Inkstone. Licence: see LICENSE.

/** The sum of each metric over its labels, from Prometheus text. */
export function sums(text) {
  const totals = new Map();
  for (const line of text.split('\n')) {
    const found = line.match(/^([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)/);
    if (!found) continue;
    const value = Number(found[2]);
    if (Number.isFinite(value)) totals.set(found[1], (totals.get(found[1]) ?? 0) + value);
  }
  return totals;
}

/** A line of values without axes; gaps where a value is null. */
export function sparkline(svg, values, places) {
  const { width, height } = svg.viewBox.baseVal;
  const top = Math.max(...values.filter((value) => value !== null), 0) || 1;
  const x = (index) => width - (values.length - 1 - index) * (width / (places - 1));
  const y = (value) => height - 2 - (value / top) * (height - 6);
  let path = '';
  let isDown = false;
  values.forEach((value, index) => {
    if (value !== null) path += `${isDown ? 'L' : 'M'}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    isDown = value !== null;
  });
  svg.querySelector('path').setAttribute('d', path);
}
