// Part of Inkstone. Licence: see LICENSE.

import { cancelJob, fetchJob, fetchSampling, showPicture, submitJob } from './api.js';
import { button, make, saveAs } from './dom.js';
import { duration, t } from './language.js';
import { picturesOf } from './pictures.js';
import { isSeed, seedAfter } from './seeds.js';
import { FieldError } from './settings.js';

const $ = (id) => document.getElementById(id);
const mostCells = 100;
const atOnce = 4;
const pollMilliseconds = 400;
const final = ['succeeded', 'failed', 'cancelled'];

/** Seeds of a text, as text: `7, 8`, or numbers as below. Null if it has none, or anything else. */
function seedsIn(text) {
  const parts = text.split(/[,，;\s]+/u).filter(Boolean);
  const seeds = parts.every(isSeed) ? parts : numbersIn(text)?.map(String) ?? [];
  return seeds.length > 0 && seeds.every(isSeed) ? seeds : null;
}

/** Numbers of a text: `4, 8, 12`, `1-4` or `4-12:4`. Null if it has none, or anything else. */
export function numbersIn(text) {
  const found = [];
  for (const part of text.split(/[,，;\s]+/u).filter(Boolean)) {
    const [, low, high, step] = part.match(/^(-?[\d.]+)(?:[-–](-?[\d.]+)(?::([\d.]+))?)?$/u) ?? [];
    if (low === undefined || Number.isNaN(Number(low))) return null;
    if (high === undefined) {
      found.push(Number(low));
      continue;
    }
    const by = Number(step ?? 1);
    if (!(by > 0) || !(Number(high) >= Number(low))) return null;
    for (let value = Number(low); value <= Number(high) + 1e-9 && found.length <= mostCells; value += by) found.push(Number(value.toFixed(6)));
  }
  return found.length > 0 ? found : null;
}

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** One of the two axes: what varies, and its values. */
class Axis {
  constructor(grid, name, fields) {
    Object.assign(this, { grid, name });
    this.field = make('select', { id: `grid-${name}`, label: `grid.${name}`, on: { change: () => this.show() } },
      ...fields.map(([value, i18n]) => make('option', { value, i18n })));
    this.text = make('input', { id: `grid-${name}-values`, type: 'text', label: 'grid.values', on: { input: () => this.note() } });
    this.lora = make('select', { id: `grid-${name}-lora`, label: 'grid.lora', on: { change: () => grid.count() } });
    this.chips = make('div', { className: 'chips', label: 'grid.values', attributes: { role: 'group' } });
    this.box = make('fieldset', { className: 'grid-axis' }, make('legend', { i18n: `grid.${name}` }), this.field, this.lora, this.text, this.chips);
  }

  /** Values of the user's own stay, whatever the form says later. */
  note() {
    this.isOwn = true;
    this.grid.count();
  }

  show() {
    this.isOwn = false;
    const kind = this.field.value;
    const { grid } = this;
    const names = { sampler: grid.samplers, scheduler: grid.schedules }[kind];
    this.lora.hidden = kind !== 'lora';
    this.text.hidden = kind === 'none' || Boolean(names);
    this.chips.hidden = !names;
    const values = grid.page.settings.values();
    this.text.value = {
      steps: `${Math.max(1, Math.round(values.steps / 2))}, ${values.steps}, ${Math.min(2 * values.steps, grid.page.settings.model.limits.maximumSteps)}`,
      guidance: '0, 2, 4', seed: [0, 1, 2].map((offset) => seedAfter(values.seed, offset)).join(', '), lora: '0, 0.5, 1',
    }[kind] ?? '';
    if (kind === 'lora') {
      this.lora.replaceChildren(...grid.page.loras.known.map(({ name }) => make('option', { value: name, textContent: name })));
    }
    this.chips.replaceChildren(...(names ?? []).map(([value, label], index) => make('button', {
      type: 'button', className: 'chip', textContent: label, data: { value }, attributes: { 'aria-pressed': String(index < 3) },
      on: {
        click: ({ currentTarget }) => {
          currentTarget.setAttribute('aria-pressed', String(currentTarget.getAttribute('aria-pressed') !== 'true'));
          this.note();
        },
      },
    })));
    grid.count();
  }

  /** The values, or null for a text that is none. */
  get values() {
    const kind = this.field.value;
    if (kind === 'none') return [null];
    if (kind === 'sampler' || kind === 'scheduler') {
      const on = [...this.chips.children].filter((chip) => chip.getAttribute('aria-pressed') === 'true');
      return on.length > 0 ? on.map(({ dataset }) => dataset.value) : null;
    }
    return kind === 'seed' ? seedsIn(this.text.value) : numbersIn(this.text.value);
  }

  label(value) {
    const kind = this.field.value;
    if (kind === 'none') return '';
    if (kind === 'lora') return `${this.lora.value} ${value}`;
    if (kind === 'sampler' || kind === 'scheduler') return this.chips.querySelector(`[data-value="${CSS.escape(value)}"]`)?.textContent ?? value;
    return `${t(`grid.field.${kind}`)} ${value}`;
  }

  /** A request with a value of the axis. */
  apply(request, value) {
    const kind = this.field.value;
    if (kind === 'none') return request;
    if (kind === 'guidance') return { ...request, guidance_scale: value };
    if (kind !== 'lora') return { ...request, [kind]: value };
    const others = (request.loras ?? []).filter(({ name }) => name !== this.lora.value);
    return { ...request, loras: [...others, { name: this.lora.value, scale: value }] };
  }
}

/** A sheet of pictures over two parameters, each with its labels. */
export class Grid {
  constructor(page) {
    this.page = page;
    this.samplers = [];
    this.schedules = [];
    this.jobs = new Set();
    this.isRunning = false;
    const fields = [['none', 'grid.none'], ['steps', 'steps.label'], ['guidance', 'guidance.label'], ['seed', 'seed.label'],
      ['sampler', 'sampling.sampler'], ['scheduler', 'sampling.schedule'], ['lora', 'grid.loraScale']];
    this.across = new Axis(this, 'x', fields.slice(1));
    this.down = new Axis(this, 'y', fields);
    this.total = make('p', { className: 'hint', id: 'grid-total', attributes: { role: 'status' } });
    this.start = button('primary', 'grid.start', () => this.run(), { id: 'grid-start' });
    this.stop = button('secondary', 'cancel', () => this.cancel(), { id: 'grid-stop', hidden: true });
    this.save = button('secondary', 'sheet.save', () => this.download(), { id: 'grid-save', hidden: true });
    this.table = make('div', { className: 'grid-table', tabIndex: 0, label: 'grid.result', attributes: { role: 'region' }, hidden: true });
    this.dialog = make('dialog', { className: 'grid-dialog', id: 'grid', attributes: { 'aria-labelledby': 'grid-title' } },
      make('div', { className: 'drawer-head' }, make('h2', { i18n: 'grid.title', id: 'grid-title' }), button('quiet', 'more.close', () => this.dialog.close())),
      make('div', { className: 'grid-axes' }, this.across.box, this.down.box), this.total,
      make('div', { className: 'toolbar' }, this.start, this.stop, this.save), this.table);
    document.body.append(this.dialog);
  }

  async open() {
    if (this.samplers.length === 0) {
      const [samplers, schedules] = await fetchSampling();
      this.samplers = samplers.map(({ name, aliases }) => [aliases[0], name]);
      this.schedules = schedules.map(({ name, label }) => [name === 'automatic' ? 'default' : name, label]);
      this.down.field.value = 'seed';
    }
    for (const axis of [this.across, this.down]) {
      const option = axis.field.querySelector('[value="lora"]');
      option.hidden = this.page.loras.known.length === 0;
      if (!this.isRunning && !axis.isOwn) axis.show();
    }
    this.dialog.showModal();
  }

  /** Says how many pictures there are, and about how long they take. */
  count() {
    const [across, down] = [this.across.values, this.down.values];
    const isSame = this.across.field.value === this.down.field.value;
    const count = (across?.length ?? 0) * (down?.length ?? 0);
    const key = !across || !down ? 'grid.wrong' : isSame ? 'grid.same' : count > mostCells ? 'grid.tooMany' : 'grid.count';
    this.total.textContent = t(key, { count, most: mostCells });
    this.start.disabled = key !== 'grid.count' || this.isRunning;
  }

  async run() {
    let request;
    try {
      request = { ...this.page.settings.request(), count: 1 };
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.dialog.close();
      this.page.fail(error);
      error.element.focus();
      return;
    }
    const [columns, rows] = [this.across.values, this.down.values];
    this.request = request;
    this.labels = [columns.map((value) => this.across.label(value)), rows.map((value) => this.down.label(value))];
    this.cells = rows.flatMap((down) => columns.map((across) => ({
      request: this.down.apply(this.across.apply(request, across), down), image: make('img', { alt: '' }), state: make('span'), picture: null,
    })));
    this.build(columns.length);
    this.setRunning(true);
    const begun = performance.now();
    const waiting = [...this.cells];
    const work = async () => {
      for (let cell = waiting.shift(); cell && this.isRunning; cell = waiting.shift()) await this.draw(cell);
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    const done = this.cells.filter(({ picture }) => picture).length;
    this.setRunning(false, done > 0);
    this.total.textContent = t('grid.done', { done, count: this.cells.length, time: duration((performance.now() - begun) / 1000) });
    this.page.announce(this.total.textContent);
  }

  /** The focus goes from a button that goes to the one that comes. */
  setRunning(isRunning, isSavable = false) {
    const hadFocus = [this.start, this.stop].includes(document.activeElement);
    this.isRunning = isRunning;
    this.start.disabled = isRunning;
    this.stop.hidden = !isRunning;
    this.save.hidden = !isSavable;
    if (hadFocus) (isRunning ? this.stop : isSavable ? this.save : this.start).focus();
  }

  build(columns) {
    this.table.hidden = false;
    this.table.style.setProperty('--columns', String(columns));
    const head = this.labels[0].map((text) => make('b', { textContent: text }));
    const body = this.labels[1].flatMap((text, row) => [
      make('b', { textContent: text }),
      ...this.cells.slice(row * columns, (row + 1) * columns).map((cell) => make('div', { className: 'grid-cell' }, cell.image, cell.state)),
    ]);
    this.table.replaceChildren(make('span'), ...head, ...body);
  }

  /** Draws one picture; a full queue is waited for. */
  async draw(cell) {
    const key = newKey();
    const pause = (milliseconds) => new Promise((resume) => { setTimeout(resume, milliseconds); });
    cell.state.textContent = '…';
    try {
      let job = null;
      while (!job && this.isRunning) {
        try {
          job = await submitJob(cell.request, key);
        } catch (error) {
          if (!['queue_full', 'concurrency_limit', 'rate_limit_exceeded'].includes(error.code)) throw error;
          await pause(1000 * error.retryAfter);
        }
      }
      if (!job) return;
      this.jobs.add(job.id);
      while (!final.includes(job.state)) {
        await pause(pollMilliseconds);
        job = await fetchJob(job.id);
      }
      this.jobs.delete(job.id);
      const [picture] = picturesOf(job);
      cell.state.textContent = picture ? '' : job.failure ?? '×';
      if (!picture) return;
      cell.picture = picture;
      cell.image.alt = job.prompt;
      await showPicture(cell.image, picture.path);
      document.dispatchEvent(new CustomEvent('inkstone:made', { detail: picture }));
      this.page.stage.remember([picture]);
    } catch (error) {
      cell.state.textContent = this.page.messages?.wordError(error) ?? error.message;
    }
  }

  cancel() {
    this.isRunning = false;
    for (const id of this.jobs) cancelJob(id).catch(() => {});
  }

  /** The whole sheet as one file, with its labels and what all pictures have in common. */
  async download() {
    const [columns, rows] = this.labels;
    await Promise.all(this.cells.map(({ image }) => image.decode().catch(() => {})));
    const [{ picture: { width, height } }] = this.cells.filter(({ picture }) => picture);
    const line = Math.max(16, Math.round(width / 12));
    const gap = 6;
    const measure = make('canvas').getContext('2d');
    const font = (weight) => `${weight} ${Math.round(line * 0.75)}px system-ui, sans-serif`;
    measure.font = font(600);
    const side = Math.ceil(Math.max(0, ...rows.map((text) => measure.measureText(text).width))) + (rows.some(Boolean) ? 2 * gap : gap);
    const least = Math.max(width, ...columns.map((text) => measure.measureText(text).width + gap));
    const canvas = make('canvas', {
      width: Math.ceil(side + columns.length * (least + gap)), height: Math.ceil(line * 3.2 + rows.length * (height + gap) + gap),
    });
    const context = canvas.getContext('2d');
    context.fillStyle = '#ffffff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = '#1e2127';
    context.textBaseline = 'middle';
    context.font = font(400);
    context.fillText(this.caption, gap, line * 0.8, canvas.width - 2 * gap);
    context.font = font(600);
    context.textAlign = 'center';
    const left = (column) => side + column * (least + gap);
    const top = (row) => line * 3.2 + row * (height + gap);
    columns.forEach((text, column) => context.fillText(text, left(column) + least / 2, line * 2.3));
    context.textAlign = 'start';
    rows.forEach((text, row) => context.fillText(text, gap, top(row) + height / 2));
    this.cells.forEach(({ image, picture }, index) => {
      const [column, row] = [index % columns.length, Math.floor(index / columns.length)];
      if (picture) context.drawImage(image, left(column) + (least - width) / 2, top(row), width, height);
    });
    const blob = await new Promise((resolve) => { canvas.toBlob(resolve, 'image/png'); });
    saveAs(blob, `inkstone-xy-${this.request.seed}.png`);
  }

  get caption() {
    const { prompt, steps, guidance_scale: guidance, seed } = this.request;
    const varied = [this.across.field.value, this.down.field.value];
    const rest = [['steps', steps], ['guidance', guidance], ['seed', seed]].filter(([name]) => !varied.includes(name));
    return [prompt, ...rest.map(([name, value]) => `${t(`grid.field.${name}`)} ${value}`)].join(' · ');
  }
}
