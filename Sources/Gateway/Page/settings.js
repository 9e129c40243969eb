// Part of Inkstone. Licence: see LICENSE.

import { FieldError, replaceText } from './fields.js';
import { pick, t } from './language.js';
import { isSeed, largestSeed, randomSeed } from './seeds.js';
import { ratios, sizeLike, sizeOf, snapSide } from './sizes.js';
import { remembered } from './store.js';

const $ = (id) => document.getElementById(id);
const ideas = 4;

export { FieldError };

/** The form: defaults, limits, presets and what the user chose. */
export class Settings {
  /** `loras` and `source` hold their parts of a request; `onChange(values)` follows every change. */
  constructor(loras, source, onChange) {
    Object.assign(this, { loras, source, onChange });
    this.model = null;
    /** Parts that are loaded on demand: `draft()`, `request(width, height)` and `use(parameters)`. */
    this.parts = [];
    this.keepsSeed = false;
    this.lastSeed = null;
    this.idea = 0;
    for (const id of ['width', 'height', 'steps', 'guidance', 'count', 'prompt', 'negative', 'seed']) {
      $(id).addEventListener('input', () => this.changed());
    }
    // A seed that was typed or pasted is meant.
    $('seed').addEventListener('input', () => this.keepSeed($('seed').value.trim() !== ''));
    for (const id of ['steps', 'guidance']) {
      $(`${id}-slider`).addEventListener('input', (event) => {
        $(id).value = event.target.value;
        this.changed();
      });
    }
    for (const id of ['width', 'height']) $(id).addEventListener('change', () => this.snap(id));
    $('swap').addEventListener('click', () => this.setSize({ width: $('height').value, height: $('width').value }));
    $('dice').addEventListener('click', () => {
      this.keepSeed(false);
      this.rollSeed();
    });
    $('again').addEventListener('click', () => this.reuseSeed());
    $('lock').addEventListener('click', () => this.keepSeed(!this.keepsSeed));
    $('advanced').addEventListener('toggle', () => remembered.set('advanced', $('advanced').open ? 'open' : ''));
  }

  /** Applies a model's limits; values are those of the last visit, else its defaults. */
  useModel(model) {
    this.model = model;
    const { limits, defaults } = model;
    for (const [id, limit] of [['width', limits.maximumWidth], ['height', limits.maximumHeight]]) {
      Object.assign($(id), { min: limits.sizeMultiple, step: limits.sizeMultiple, max: limit });
    }
    $('steps').max = limits.maximumSteps;
    $('steps-slider').max = Math.min(limits.maximumSteps, Math.max(20, 4 * defaults.steps));
    $('count').max = limits.maximumCount;
    $('count-box').hidden = limits.maximumCount < 2;
    $('prompt').maxLength = limits.maximumPromptLength;
    $('negative').maxLength = limits.maximumPromptLength;
    const saved = this.load();
    const own = saved.model === model.id ? saved : {};
    this.setSize(own.width ? own : defaults.size);
    $('steps').value = own.steps ?? defaults.steps;
    $('guidance').value = own.guidance ?? defaults.guidanceScale;
    $('negative').value = own.negative ?? defaults.negativePrompt;
    $('count').value = own.count ?? 1;
    if (saved.prompt && !$('prompt').value) $('prompt').value = saved.prompt;
    if (saved.seed) $('seed').value = saved.seed;
    if (!$('seed').value) this.rollSeed();
    this.keepSeed(saved.keepsSeed ?? false);
    $('advanced').open = remembered.get('advanced') === 'open';
    this.wordChoices();
    this.changed();
  }

  /** Builds the buttons whose texts depend on the language. */
  wordChoices() {
    const { presets, sizes, examples } = this.model;
    // One of the model's examples, if it has any.
    $('prompt').placeholder = pick(examples)?.[0] ?? t('prompt.placeholder');
    this.fill('presets', presets, (preset) => pick(preset.name), (preset) => {
      this.setSize(preset.size);
      $('steps').value = preset.steps;
      $('guidance').value = preset.guidanceScale;
      this.changed();
    });
    this.wordIdeas();
    this.fill('sizes', sizes, (size) => `${size.width} × ${size.height}`, (size) => this.setSize(size));
    this.fill('ratios', ratios, ([across, down]) => `${across}:${down}`, (ratio) => {
      this.setSize(sizeOf(ratio, this.pixels, this.model.limits));
    }, true);
    this.mark();
  }

  /** A few of the model's examples, and a button for the others. */
  wordIdeas() {
    const all = pick(this.model.examples) ?? [];
    const few = Array.from({ length: Math.min(ideas, all.length) }, (_, index) => all[(this.idea + index) % all.length]);
    this.fill('examples', few, (text) => text, (text) => this.setPrompt(text));
    if (all.length <= ideas) return;
    const others = document.createElement('button');
    others.type = 'button';
    others.className = 'chip others';
    others.textContent = t('examples.others');
    others.addEventListener('click', () => {
      this.idea += ideas;
      this.wordIdeas();
      $('examples').lastChild.focus();
    });
    $('examples').append(others);
  }

  fill(id, values, word, choose, withShape = false) {
    const box = $(`${id}-box`);
    if (box) box.hidden = values.length === 0;
    $(id).replaceChildren(...values.map((value) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'chip';
      if (withShape) {
        const shape = document.createElement('i');
        const longest = Math.max(...value);
        shape.style.width = `${(13 * value[0]) / longest}px`;
        shape.style.height = `${(13 * value[1]) / longest}px`;
        button.append(shape);
      }
      button.append(word(value));
      if (value.steps) button.title = t('presets.title', { ...value, ...value.size, guidance: value.guidanceScale });
      button.addEventListener('click', () => choose(value));
      return button;
    }));
  }

  /** Pixels of the size preset nearest to the current size; the aspect ratios keep about that many. */
  get pixels() {
    const { width, height } = this.values();
    const { sizes, defaults } = this.model;
    const areas = [...sizes, defaults.size].map((size) => size.width * size.height);
    const distance = (area) => Math.abs(Math.log(area / (width * height || areas[0])));
    return areas.reduce((best, area) => (distance(area) < distance(best) ? area : best));
  }

  /** Marks the size, aspect ratio and preset of the current values. */
  mark() {
    const { width, height, steps, guidance } = this.values();
    const same = (size) => size.width === width && size.height === height;
    this.model.sizes.forEach((size, index) => this.press('sizes', index, same(size)));
    ratios.forEach((ratio, index) => {
      this.press('ratios', index, same(sizeOf(ratio, this.pixels, this.model.limits)));
    });
    this.model.presets.forEach((preset, index) => {
      const isOn = same(preset.size) && preset.steps === steps && preset.guidanceScale === guidance;
      this.press('presets', index, isOn);
    });
  }

  press(id, index, isOn) {
    $(id).children[index]?.setAttribute('aria-pressed', String(isOn));
  }

  /** Replaces the prompt; Ctrl+Z in the field brings the old one back. */
  setPrompt(text) {
    replaceText($('prompt'), text);
    $('prompt').focus();
  }

  setSize({ width, height }) {
    $('width').value = width;
    $('height').value = height;
    $('size-note').textContent = '';
    this.changed();
  }

  /** The size with about as many pixels as now in the aspect ratio of an image. */
  setShape(width, height) {
    this.setSize(sizeLike(width, height, this.pixels, this.model.limits));
  }

  /** Rounds a side to the nearest that the model supports when the field loses focus, and shows that. */
  snap(id) {
    const input = $(id);
    if (input.value === '') return;
    const [unit, limit] = [Number(input.step), Number(input.max)];
    const side = snapSide(Number(input.value), unit, limit);
    const isChanged = side !== Number(input.value);
    const values = { from: input.value, to: side, unit, limit };
    if (isChanged) input.value = side;
    $('size-note').textContent = isChanged ? t('size.snapped', values) : '';
    this.changed();
  }

  rollSeed() {
    $('seed').value = randomSeed();
    this.changed();
  }

  /** Sets the seed of the last image, and locks it. */
  reuseSeed() {
    if (this.lastSeed === null) return;
    $('seed').value = this.lastSeed;
    this.keepSeed(true);
    this.changed();
  }

  noteSeed(seed) {
    this.lastSeed = seed;
    $('again').disabled = false;
  }

  keepSeed(isKept) {
    this.keepsSeed = isKept;
    $('lock').setAttribute('aria-pressed', String(isKept));
    this.save();
  }

  /** What `reuse` changes, as it is now: a function that brings it back. */
  snapshot() {
    const values = ['prompt', 'negative', 'width', 'height', 'steps', 'guidance', 'count', 'seed']
      .map((id) => [id, $(id).value]);
    const { keepsSeed, loras } = this;
    const chosen = loras.values;
    const parts = this.parts.map((part) => part.snapshot?.());
    return () => {
      for (const [id, value] of values) $(id).value = value;
      loras.use(chosen);
      for (const takeBack of parts) takeBack?.();
      this.keepSeed(keepsSeed);
      this.changed();
    };
  }

  /** Applies the parameters of an image, seed included; returns the names of missing LoRA files. */
  reuse(parameters) {
    const put = (id, value) => { if (value !== undefined && value !== null) $(id).value = value; };
    if (parameters.prompt !== undefined) replaceText($('prompt'), parameters.prompt);
    put('negative', parameters.negative ?? '');
    put('steps', parameters.steps);
    put('guidance', parameters.guidance);
    put('seed', parameters.seed);
    $('count').value = 1;
    if (parameters.width) this.setSize(parameters);
    const missing = this.loras.use(parameters.loras ?? []);
    for (const part of this.parts) part.use(parameters);
    if (parameters.seed !== undefined) this.keepSeed(true);
    this.changed();
    return missing;
  }

  changed() {
    if (!this.model) return;
    $('steps-slider').value = $('steps').value;
    $('guidance-slider').value = $('guidance').value;
    // Always in its place, so that nothing moves.
    $('negative').disabled = !(Number($('guidance').value) > 0);
    this.mark();
    this.save();
    this.onChange(this.values());
  }

  values() {
    const number = (id) => ($(id).value.trim() === '' ? NaN : Number($(id).value));
    return {
      width: number('width'),
      height: number('height'),
      steps: number('steps'),
      guidance: number('guidance'),
      count: number('count'),
      seed: $('seed').value.trim(),
    };
  }

  /** The current request without validation and without the source image. */
  draft() {
    const values = this.values();
    const loras = this.loras.values;
    return {
      model: this.model.id,
      prompt: $('prompt').value.trim(),
      negative_prompt: values.guidance > 0 ? $('negative').value.trim() : '',
      width: values.width,
      height: values.height,
      steps: values.steps,
      guidance_scale: values.guidance,
      seed: values.seed,
      count: values.count,
      ...(loras.length > 0 && { loras }),
      ...(this.source.isSet && { strength: this.source.strength }),
      ...Object.assign({}, ...this.parts.map((part) => part.draft())),
    };
  }

  /** The request to send. Throws `FieldError` for the first field that the server would refuse. */
  request() {
    if (!$('prompt').value.trim()) throw new FieldError(() => t('error.prompt'), $('prompt'));
    if (!this.keepsSeed) this.rollSeed();
    this.checkAll();
    const { width, height } = this.values();
    return {
      ...this.draft(),
      ...(this.source.isSet && this.source.fields(width, height)),
      ...Object.assign({}, ...this.parts.map((part) => part.request(width, height))),
    };
  }

  /** Whether the server would take the numbers. */
  get isSound() {
    try {
      this.checkAll();
      return true;
    } catch {
      return false;
    }
  }

  checkAll() {
    const { limits } = this.model;
    const values = this.values();
    for (const [id, limit] of [['width', limits.maximumWidth], ['height', limits.maximumHeight]]) {
      const unit = limits.sizeMultiple;
      if (!(values[id] >= unit && values[id] <= limit && values[id] % unit === 0)) {
        throw new FieldError(() => t('error.size', { name: t(`size.${id}`), unit, limit }), $(id));
      }
    }
    this.check('steps', values.steps, 1, limits.maximumSteps);
    this.check('guidance', values.guidance, 0, 100, false);
    this.checkSeed(values.seed);
    this.check('count', values.count, 1, limits.maximumCount);
    if (this.source.isSet && values.steps * this.source.strength < 1) {
      throw new FieldError(() => t('error.strength'), $('strength'));
    }
  }

  checkSeed(seed) {
    if (isSeed(seed)) return;
    throw new FieldError(() => t('error.range', { name: t('seed.label'), low: 0, high: largestSeed }), $('seed'));
  }

  check(id, value, low, high, isWhole = true) {
    if (value >= low && value <= high && (!isWhole || Number.isInteger(value))) return;
    throw new FieldError(() => t('error.range', { name: t(`${id}.label`), low, high }), $(id));
  }

  save() {
    if (!this.model) return;
    const kept = { model: this.model.id, keepsSeed: this.keepsSeed };
    for (const id of ['prompt', 'negative', 'width', 'height', 'steps', 'guidance', 'count', 'seed']) {
      kept[id] = $(id).value;
    }
    remembered.setJSON('settings', kept);
  }

  load() {
    return remembered.getJSON('settings') ?? {};
  }
}
