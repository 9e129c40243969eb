// Part of Inkstone. Licence: see LICENSE.

import { fetchControls, fetchMap } from './api.js';
import { button, make, slider, word } from './dom.js';
import { t } from './language.js';
import { FieldError } from './settings.js';
import { canvasOf, centreOf } from './source.js';

const most = 4;
const restMilliseconds = 300;
/** The types of a map, with the name of each in A1111's lists and of its numbers in a request. */
const types = [
  ['canny', 'canny', ['low', 'high']], ['scribble', 'scribble_xdog', ['value']], ['grey', 'grey', []],
  ['blur', 'blur_gaussian', ['value']], ['tile', 'tile_resample', ['value']], ['threshold', 'threshold', ['value']],
  ['invert', 'invert (from white bg & black line)', []], ['none', 'none', []],
];

const base64Of = (canvas) => canvas.toDataURL().replace(/^[^,]*,/, '');

/** One picture that controls a request, with what makes its map. */
class Unit {
  constructor(controls, number) {
    this.controls = controls;
    this.picture = null;
    this.timer = 0;
    this.asking = null;
    this.numbers = [];
    const changed = () => controls.changed();
    this.file = make('input', {
      type: 'file', accept: 'image/png,image/jpeg,image/webp', hidden: true, label: 'control.choose',
      on: { change: () => this.choose(this.file.files[0]) },
    });
    this.open = make('button', { type: 'button', className: 'drop-button control-choose', on: { click: () => this.file.click() } },
      make('span', { i18n: 'control.choose' }), make('span', { className: 'optional', i18n: 'control.ways' }));
    this.original = make('img', { alt: '', className: 'control-picture' });
    this.map = make('img', { className: 'control-map', attributes: { 'data-i18n-alt': 'control.map' }, alt: t('control.map') });
    this.state = make('p', { className: 'hint', attributes: { role: 'status' } });
    this.type = make('select', { className: 'control-type', on: { change: () => this.useType() } },
      ...types.map(([value]) => make('option', { value, i18n: `control.type.${value}` })));
    this.net = make('select', { className: 'control-net', on: { change: changed } });
    this.sliders = make('div', { className: 'fold-body' });
    this.strength = slider('control.strength', { min: 0.05, max: 2, step: 0.05, value: 1 }, changed);
    this.strength.input.classList.add('control-strength');
    this.start = slider('control.start', { min: 0, max: 1, step: 0.05, value: 0 }, () => this.bound(this.start));
    this.end = slider('control.end', { min: 0, max: 1, step: 0.05, value: 1 }, () => this.bound(this.end));
    this.netRow = make('label', { className: 'pair' }, make('span', { i18n: 'control.net' }), this.net);
    this.set = make('div', { className: 'fold-body' },
      make('div', { className: 'control-pair' }, this.original, this.map), this.state,
      make('label', { className: 'pair' }, make('span', { i18n: 'control.type' }), this.type), this.sliders,
      this.netRow, this.strength.row, this.start.row, this.end.row);
    this.box = make('div', { className: 'control-unit', attributes: { role: 'group' }, data: { number } }, this.file, this.open, this.set,
      button('quiet', 'control.remove', () => controls.remove(this)));
    this.useType();
  }

  get isSet() { return this.picture !== null; }

  useNets(names) {
    const chosen = this.net.value;
    this.net.replaceChildren(...names.map((name) => make('option', { value: name, textContent: name })));
    if (names.includes(chosen)) this.net.value = chosen;
    this.netRow.hidden = names.length < 2;
  }

  async choose(file) {
    this.file.value = '';
    if (!file) return;
    try {
      this.picture = await createImageBitmap(file);
    } catch {
      word(this.state, 'source.bad');
      this.set.hidden = false;
      return;
    }
    const { width, height } = this.picture;
    this.original.src = canvasOf(this.picture, 0, 0, width, height, Math.min(1, 320 / Math.max(width, height))).toDataURL();
    this.controls.changed();
    this.type.focus({ preventScroll: true });
  }

  /** Shows the numbers of a type: with their standard values, unless there are others. */
  useType(values = {}) {
    const [, module, names] = types.find(([value]) => value === this.type.value);
    const parameters = this.controls.details[module]?.sliders ?? [];
    this.numbers = names.map((name, index) => {
      const { value = 0, min = 0, max = 1 } = parameters[index] ?? {};
      const step = max - min > 100 ? 1 : 0.5;
      const row = slider(`control.number.${this.type.value}.${name}`, { min, max: Math.min(max, 512), step, value: values[name] ?? value },
        () => this.controls.changed(), (number) => String(number));
      return { name, row };
    });
    this.sliders.replaceChildren(...this.numbers.map(({ row }) => row.row));
    this.controls.changed();
  }

  /** The end is not before the start. */
  bound(moved) {
    if (this.start.value > this.end.value) (moved === this.start ? this.end : this.start).value = moved.value;
    this.controls.changed();
  }

  show() {
    this.set.hidden = !this.isSet && !this.state.textContent;
    this.open.hidden = this.isSet;
    if (this.isSet) this.ask();
  }

  /** The picture as a request of this size has it. */
  canvas(width, height) {
    const part = centreOf(this.picture, width, height);
    const canvas = canvasOf(this.picture, ...part);
    if (canvas.width === width && canvas.height === height) return canvas;
    // The map is made in the size of the result: its lines are one pixel wide there.
    const fitted = make('canvas', { width, height });
    const context = fitted.getContext('2d');
    context.imageSmoothingQuality = 'high';
    context.drawImage(canvas, 0, 0, width, height);
    return fitted;
  }

  /** Asks for the map after a pause. */
  ask() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.preview(), restMilliseconds);
  }

  async preview() {
    const { width, height } = this.controls.page.settings.values();
    if (!this.isSet || !(width > 0 && height > 0 && width * height <= 2 ** 24)) return;
    const [, module] = types.find(([value]) => value === this.type.value);
    const wanted = JSON.stringify([width, height, module, this.numbers.map(({ row }) => row.value)]);
    if (wanted === this.shown && this.shownPicture === this.picture) return;
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const [a, b] = this.numbers.map(({ row }) => row.value);
    try {
      const { images } = await fetchMap({
        controlnet_module: module, controlnet_images: [base64Of(this.canvas(width, height))],
        ...(a !== undefined && { controlnet_threshold_a: a }), ...(b !== undefined && { controlnet_threshold_b: b }),
      }, signal);
      this.map.src = `data:image/png;base64,${images[0]}`;
      [this.shown, this.shownPicture] = [wanted, this.picture];
      this.state.textContent = '';
      delete this.state.dataset.i18n;
    } catch (error) {
      if (!signal.aborted) this.state.textContent = this.controls.page.messages?.wordError(error) ?? error.message;
    }
  }

  /** The fields of a control, without its picture. */
  get draft() {
    return {
      model: this.net.value, type: this.type.value, strength: this.strength.value, start: this.start.value, end: this.end.value,
      ...Object.fromEntries(this.numbers.map(({ name, row }) => [name, row.value])),
    };
  }

  fields(width, height) {
    return { ...this.draft, image: this.canvas(width, height).toDataURL() };
  }
}

/** Pictures that control a request, each through a ControlNet of the server. */
export class Controls {
  constructor(page, slot) {
    this.page = page;
    this.nets = [];
    this.details = {};
    this.units = [];
    this.list = make('div', { className: 'fold-body', id: 'controls' });
    this.add = button('quiet', 'control.add', () => this.append().open.focus(), { id: 'control-add' });
    this.body = make('details', { className: 'fold', id: 'control', hidden: true },
      make('summary', { i18n: 'control.title' }),
      make('div', { className: 'fold-body' }, make('p', { className: 'hint', i18n: 'control.lead' }), this.list, this.add));
    slot.append(this.body);
    this.load();
  }

  async load() {
    const [models, modules] = await fetchControls();
    this.nets = models.model_list;
    this.details = modules.module_detail;
    this.body.hidden = this.nets.length === 0;
    if (this.nets.length === 0) return;
    this.drop = make('div', { data: { drop: 'control' } }, make('p', { i18n: 'control.drop' }));
    document.querySelector('.drop').append(this.drop);
    this.append();
  }

  useModel() { this.show(); }

  append() {
    const unit = new Unit(this, this.units.length);
    unit.useNets(this.nets);
    this.units.push(unit);
    this.list.append(unit.box);
    this.changed();
    return unit;
  }

  remove(unit) {
    this.units = this.units.filter((other) => other !== unit);
    unit.box.remove();
    if (this.units.length === 0) this.append();
    this.changed();
    this.units[0].open.focus();
  }

  changed() {
    this.show();
    this.page.settings.changed();
  }

  show() {
    for (const unit of this.units) unit.show();
    this.add.hidden = this.units.length >= most || !this.units.at(-1)?.isSet;
    this.units.forEach((unit, index) => {
      unit.box.setAttribute('aria-label', t('control.number', { number: index + 1 }));
      unit.box.lastElementChild.hidden = !unit.isSet && !unit.isLost && this.units.length < 2;
    });
  }

  word() { this.show(); }

  /** Takes a picture that was dropped on its zone. */
  take(file, purpose) {
    if (purpose !== 'control') return false;
    this.body.open = true;
    this.page.views.show('create');
    const free = this.units.find((unit) => !unit.isSet) ?? (this.units.length < most ? this.append() : this.units.at(-1));
    free.choose(file).then(() => this.body.scrollIntoView({ block: 'nearest' }));
    return true;
  }

  get active() { return this.units.filter((unit) => unit.isSet); }

  draft() {
    // Sizes may have changed, and the maps with them.
    for (const unit of this.active) unit.ask();
    return this.active.length > 0 ? { controls: this.active.map((unit) => unit.draft) } : {};
  }

  request(width, height) {
    const lost = this.units.find((unit) => unit.isLost && !unit.isSet);
    if (lost) {
      this.body.open = true;
      throw new FieldError(() => t('control.missing'), lost.open);
    }
    return this.active.length > 0 ? { controls: this.active.map((unit) => unit.fields(width, height)) } : {};
  }

  /** The controls of an image: their numbers come back, their pictures are not stored. */
  use({ controls = [] }) {
    if (this.nets.length === 0) return;
    for (const unit of [...this.units]) unit.box.remove();
    this.units = [];
    for (const control of controls) {
      const unit = this.append();
      unit.isLost = true;
      unit.type.value = types.some(([value]) => value === control.type) ? control.type : 'none';
      unit.useType();
      unit.net.value = this.nets.includes(control.model) ? control.model : this.nets[0];
      unit.strength.value = control.strength;
      unit.start.value = control.start;
      unit.end.value = control.end;
    }
    if (this.units.length === 0) this.append();
    this.body.open = controls.length > 0 || this.body.open;
    this.changed();
  }
}
