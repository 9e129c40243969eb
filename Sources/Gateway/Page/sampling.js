// Part of Inkstone. Licence: see LICENSE.

import { fetchSampling } from './api.js';
import { make, slider } from './dom.js';
import { t } from './language.js';
import { isSeed, largestSeed, randomSeed } from './seeds.js';
import { FieldError } from './settings.js';
import { remembered } from './store.js';

const standard = { sampler: 'euler', scheduler: 'default' };

/** Sampler, schedule, shift, seeds that vary, and the second pass in a larger size. */
export class Sampling {
  /** `page` has `settings`, a slot of the form is filled. */
  constructor(page, slot) {
    this.page = page;
    this.samplers = [];
    this.schedules = [];
    const changed = () => this.changed();
    this.sampler = make('select', { id: 'sampler', on: { change: changed } });
    this.schedule = make('select', { id: 'scheduler', on: { change: changed } });
    this.shift = make('input', {
      id: 'shift', type: 'number', inputMode: 'decimal', min: 0.1, max: 100, step: 'any', placeholder: 'sampling.model',
      on: { input: changed },
    });
    this.cost = make('p', { className: 'hint', id: 'sampler-cost', attributes: { role: 'status' } });
    this.sampler.setAttribute('aria-describedby', 'sampler-cost');
    slot.append(
      make('details', { className: 'fold', id: 'sampling' }, make('summary', { i18n: 'sampling.title' }), make(
        'div', { className: 'fold-body' },
        this.field('sampling.sampler', this.sampler), this.cost,
        this.field('sampling.schedule', this.schedule),
        this.field('sampling.shift', this.shift), make('p', { className: 'hint', i18n: 'sampling.shift.hint' }),
      )),
      this.seeds(), this.pass(),
    );
    /** Resolves when the choices of the last visit are in the fields. */
    this.loaded = this.load(remembered.getJSON('sampling') ?? {});
  }

  field(i18n, control) {
    return make('label', { className: 'pair' }, make('span', { i18n }), control);
  }

  seeds() {
    const changed = () => this.changed();
    this.variation = slider('sampling.variation', { min: 0, max: 1, step: 0.05, value: 0 }, changed);
    this.variation.input.id = 'variation';
    this.variationSeed = make('input', {
      id: 'variation-seed', type: 'text', inputMode: 'numeric', maxLength: 20, placeholder: 'sampling.any', on: { input: changed },
    });
    this.variance = slider('sampling.variance', { min: 0, max: 2, step: 0.05, value: 0 }, changed);
    this.variance.input.id = 'variance';
    return make('details', { className: 'fold', id: 'seeds' }, make('summary', { i18n: 'sampling.seeds' }), make(
      'div', { className: 'fold-body' },
      this.variation.row, this.field('sampling.variationSeed', this.variationSeed),
      make('p', { className: 'hint', i18n: 'sampling.variation.hint' }),
      this.variance.row, make('p', { className: 'hint', i18n: 'sampling.variance.hint' }),
    ));
  }

  pass() {
    const changed = () => this.changed();
    this.isOn = make('input', { id: 'hires', type: 'checkbox', on: { change: changed } });
    const choice = (id, options) => make('select', { id, on: { change: changed } }, ...options.map(
      ([value, text]) => make('option', { value, ...text })));
    this.factor = choice('hires-factor', [1.5, 2, 3, 4].map((factor) => [factor, { textContent: `${factor}×` }]));
    this.upscaler = choice('hires-upscaler', [
      ['lanczos', { i18n: 'pass.lanczos' }], ['latent', { i18n: 'pass.latent' }],
      ['latent_bicubic', { i18n: 'pass.bicubic' }], ['latent_nearest', { i18n: 'pass.nearest' }],
    ]);
    this.strength = slider('pass.strength', { min: 0.05, max: 1, step: 0.05, value: 0.4 }, changed);
    this.strength.input.id = 'hires-strength';
    this.steps = make('input', { id: 'hires-steps', type: 'number', inputMode: 'numeric', min: 1, step: 1, placeholder: 'pass.same', on: { input: changed } });
    this.upscaler.addEventListener('change', () => {
      // Enlarged latents are blurred and need more.
      this.strength.value = this.upscaler.value === 'lanczos' ? 0.4 : 0.6;
      this.changed();
    });
    this.size = make('p', { className: 'hint', id: 'hires-size', attributes: { role: 'status' } });
    this.passBody = make('div', { className: 'fold-body' },
      this.field('pass.factor', this.factor), this.size, this.field('pass.upscaler', this.upscaler),
      this.strength.row, make('p', { className: 'hint', i18n: 'pass.strength.hint' }), this.field('pass.steps', this.steps));
    return make('div', { className: 'switched' },
      make('label', { className: 'switch' }, this.isOn, make('span', { i18n: 'pass.title' })), this.passBody);
  }

  async load(saved) {
    [this.samplers, this.schedules] = await fetchSampling().catch(() => [[], []]);
    const fill = (select, rows, name, chosen) => {
      select.replaceChildren(...rows.map((row) => make('option', { value: name(row), textContent: row.label ?? row.name })));
      select.value = chosen;
      if (!select.value && rows.length > 0) select.selectedIndex = 0;
    };
    fill(this.sampler, this.samplers, (row) => row.aliases[0], saved.sampler ?? standard.sampler);
    fill(this.schedule, this.schedules, (row) => (row.name === 'automatic' ? 'default' : row.name), saved.scheduler ?? standard.scheduler);
    this.put(saved);
    this.changed();
  }

  /** Sets the fields to a saved state. */
  put(saved) {
    this.shift.value = saved.shift ?? '';
    this.variation.value = saved.variation ?? 0;
    this.variationSeed.value = saved.variationSeed ?? '';
    this.variance.value = saved.variance ?? 0;
    this.isOn.checked = saved.isOn ?? false;
    this.factor.value = saved.factor ?? 2;
    this.upscaler.value = saved.upscaler ?? 'lanczos';
    this.strength.value = saved.strength ?? 0.4;
    this.steps.value = saved.steps ?? '';
    if (saved.sampler) this.sampler.value = saved.sampler;
    if (saved.scheduler) this.schedule.value = saved.scheduler;
  }

  get state() {
    return {
      sampler: this.sampler.value, scheduler: this.schedule.value, shift: this.shift.value,
      variation: this.variation.value, variationSeed: this.variationSeed.value, variance: this.variance.value,
      isOn: this.isOn.checked, factor: this.factor.value, upscaler: this.upscaler.value,
      strength: this.strength.value, steps: this.steps.value,
    };
  }

  useModel(model) {
    this.model = model;
    this.steps.max = model.limits.maximumSteps;
    this.changed();
  }

  changed() {
    this.passBody.hidden = !this.isOn.checked;
    this.word();
    remembered.setJSON('sampling', this.state);
    this.page.settings.changed();
  }

  /** What second-order samplers cost, and the size after the second pass. */
  word() {
    const row = this.samplers.find(({ aliases }) => aliases[0] === this.sampler.value);
    const steps = Number(this.page.settings.values().steps);
    const isTwice = row?.options.second_order === 'True' && steps > 1;
    this.cost.textContent = isTwice ? t('sampling.cost', { count: 2 * steps - 1, steps }) : '';
    const { width, height } = this.target();
    const limits = this.model?.limits;
    const isTooLarge = limits && (width > limits.maximumWidth || height > limits.maximumHeight);
    this.size.textContent = !(width > 0 && height > 0) ? '' : t(isTooLarge ? 'pass.tooLarge' : 'pass.size', {
      width, height, across: limits?.maximumWidth, down: limits?.maximumHeight,
    });
    this.isTooLarge = isTooLarge;
  }

  /** The size after the second pass. */
  target() {
    const { width, height } = this.page.settings.values();
    const unit = this.model?.limits.sizeMultiple ?? 16;
    const side = (length) => Math.max(1, Math.round((length * Number(this.factor.value)) / unit)) * unit;
    return { width: side(width), height: side(height) };
  }

  draft() {
    this.word();
    const fields = {};
    if (this.sampler.value && this.sampler.value !== standard.sampler) fields.sampler = this.sampler.value;
    if (this.schedule.value && this.schedule.value !== standard.scheduler) fields.scheduler = this.schedule.value;
    if (this.shift.value.trim()) fields.shift = Number(this.shift.value);
    if (this.variation.value > 0) {
      fields.variation_strength = this.variation.value;
      if (this.variationSeed.value.trim()) fields.variation_seed = this.variationSeed.value.trim();
    }
    if (this.variance.value > 0) fields.seed_variance = this.variance.value;
    if (this.isOn.checked) {
      fields.hires = { ...this.target(), upscaler: this.upscaler.value, strength: this.strength.value };
      if (this.steps.value.trim()) fields.hires.steps = Number(this.steps.value);
    }
    return fields;
  }

  request() {
    const fields = this.draft();
    const check = (input, value, low, high, name) => {
      if (value >= low && value <= high) return;
      input.closest('details')?.setAttribute('open', '');
      throw new FieldError(() => t('error.range', { name: t(name), low, high }), input);
    };
    if ('shift' in fields) check(this.shift, fields.shift, 0.1, 100, 'sampling.shift');
    if ('variation_seed' in fields) {
      if (!isSeed(fields.variation_seed)) check(this.variationSeed, -1, 0, largestSeed, 'sampling.variationSeed');
    } else if (this.variation.value > 0) {
      fields.variation_seed = randomSeed();
    }
    if (fields.hires) {
      this.word();
      if (this.isTooLarge) {
        throw new FieldError(() => {
          this.word();
          return this.size.textContent;
        }, this.factor);
      }
      if ('steps' in fields.hires) check(this.steps, fields.hires.steps, 1, this.model.limits.maximumSteps, 'pass.steps');
    }
    return fields;
  }

  /** A function that brings back what the fields hold now. */
  snapshot() {
    const { state } = this;
    return () => {
      this.put(state);
      this.changed();
    };
  }

  /** Applies the parameters of an image. */
  use({ sampling = {} }) {
    const { hires } = sampling;
    this.put({
      sampler: this.named(this.samplers, sampling.sampler, (row) => row.aliases[0]) ?? standard.sampler,
      scheduler: this.named(this.schedules, sampling.scheduler, (row) => (row.name === 'automatic' ? 'default' : row.name)) ?? standard.scheduler,
      shift: sampling.shift, variation: sampling.variationStrength, variationSeed: sampling.variationSeed,
      variance: sampling.variance, isOn: Boolean(hires), factor: hires?.factor, upscaler: hires?.upscaler,
      strength: hires?.strength, steps: hires?.steps,
    });
    if (!this.factor.value) {
      this.factor.append(make('option', { value: hires.factor, textContent: `${hires.factor}×` }));
      this.factor.value = hires.factor;
    }
    this.changed();
  }

  /** The value of an entry by any of its names. */
  named(rows, name, valueOf) {
    const row = rows.find((one) => [one.name, one.label, ...one.aliases, valueOf(one)].includes(name));
    return row && valueOf(row);
  }
}
