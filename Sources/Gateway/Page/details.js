// Part of Inkstone. Licence: see LICENSE.

import { fetchBlob, readPictureFile } from './api.js';
import { copyText } from './clipboard.js';
import { button, make, word } from './dom.js';
import { bytes, dateTime, duration, t } from './language.js';
import { base64Of, parametersIn, parametersOf } from './pictures.js';

const restMilliseconds = 1500;

/** A drawer with everything that is known about a picture, or that a file says. */
export class Details {
  static of(page) {
    Details.only ??= new Details(page);
    return Details.only;
  }

  constructor(page) {
    this.page = page;
    this.title = make('h2', { i18n: 'details.title', id: 'details-title' });
    this.list = make('dl', { className: 'details-list' });
    this.raw = make('div', { className: 'fold-body' });
    this.use = button('secondary', 'reuse', () => this.restore());
    this.all = button('secondary', 'copy', () => this.copy(this.all, this.text));
    this.dialog = make('dialog', { className: 'drawer', id: 'details-drawer', attributes: { 'aria-labelledby': 'details-title' } },
      make('div', { className: 'drawer-head' }, this.title, button('quiet', 'more.close', () => this.dialog.close())),
      make('div', { className: 'toolbar drawer-tools' }, this.use, this.all), this.list, this.raw);
    this.dialog.addEventListener('click', (event) => { if (event.target === this.dialog) this.dialog.close(); });
    document.body.append(this.dialog);
  }

  /** Shows a picture of the server. */
  async showPicture(picture) {
    this.picture = picture;
    this.parameters = null;
    word(this.title, 'details.title');
    this.fill(rowsOf(picture));
    this.raw.replaceChildren();
    this.open();
    try {
      const { info } = await readPictureFile(await base64Of(await fetchBlob(picture.path)));
      if (this.picture !== picture) return;
      this.showText(info, {});
    } catch (error) {
      this.page.fail(error);
    }
  }

  /** Shows what a file says about itself. */
  async showFile(file) {
    this.picture = null;
    word(this.title, 'details.file');
    const [answer, bitmap] = await Promise.all([
      readPictureFile(await base64Of(file)).catch(() => null), createImageBitmap(file).catch(() => null),
    ]);
    if (!answer && !bitmap) {
      this.page.note(t('source.bad'));
      return;
    }
    this.parameters = await parametersIn(file).catch(() => null);
    const rows = [['details.name', file.name || '–'], ['details.bytes', bytes(file.size)]];
    if (bitmap) rows.push(['details.size', `${bitmap.width} × ${bitmap.height}`]);
    rows.push(...fieldsIn(answer ?? { info: '', parameters: {} }));
    if (!answer?.info) rows.push(['details.settings', t('restore.none')]);
    this.fill(rows);
    this.showText(answer?.info ?? '', answer?.items ?? {});
    this.open();
  }

  open() {
    this.use.hidden = !this.picture && !this.parameters;
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
  }

  /** Rows of name and value, each of which can be copied. A name is a key of a text, or the words of a file. */
  fill(rows) {
    this.list.replaceChildren(...rows.filter(([, value]) => value !== undefined && value !== null && value !== '').map(([name, value]) => {
      const label = t(name);
      const copy = make('button', { type: 'button', className: 'quiet small copy-one', textContent: t('details.copy') });
      copy.setAttribute('aria-label', t('details.copyOne', { name: label }));
      copy.addEventListener('click', () => this.copy(copy, String(value)));
      return make('div', {}, make('dt', { textContent: label }), make('dd', {}, make('span', { textContent: String(value), dir: 'auto' }), copy));
    }));
  }

  /** The text of the parameters in a file, and its other entries. */
  showText(info, items) {
    this.text = info;
    this.all.hidden = !info;
    const entries = [['parameters', info], ...Object.entries(items).filter(([key]) => key !== 'parameters')];
    this.raw.replaceChildren(...entries.filter(([, text]) => text).map(([key, text]) => make('details', { className: 'fold' },
      make('summary', { textContent: t('details.entry', { key }) }),
      make('pre', { textContent: text, tabIndex: 0, attributes: { role: 'region', 'aria-label': key } }))));
  }

  async copy(item, text) {
    const before = item.textContent;
    const isCopied = await copyText(text);
    item.textContent = t(isCopied ? 'copied' : 'error.copy');
    this.page.announce(item.textContent);
    setTimeout(() => { item.textContent = before; }, restMilliseconds);
  }

  restore() {
    this.dialog.close();
    const parameters = this.picture ? parametersOf(this.picture) : this.parameters;
    this.page.restore(parameters).catch((error) => this.page.fail(error));
  }
}

/** All that a job says about one of its images. */
function rowsOf({ job, seed, width, height, seconds, digest, isTruncated, id }) {
  const percent = (share) => `${Math.round(share * 100)} %`;
  const { hires } = job;
  return [
    ['details.prompt', job.prompt], ['details.negative', job.guidance_scale > 0 ? job.negative_prompt : ''],
    ['details.truncated', isTruncated ? t('truncated') : ''],
    ['model.label', job.model], ['details.size', `${width} × ${height}`], ['steps.label', job.steps],
    ['details.evaluations', job.evaluations], ['guidance.label', job.guidance_scale],
    ['sampling.sampler', job.sampler], ['sampling.schedule', job.scheduler], ['sampling.shift', job.shift],
    ['details.sigmas', job.sigmas?.join(', ')],
    ['seed.label', seed], ['sampling.variationSeed', job.variation_seed],
    ['sampling.variation', job.variation_strength], ['sampling.variance', job.seed_variance?.strength],
    ['pass.title', hires && t('details.pass', {
      width: hires.size.width, height: hires.size.height, upscaler: hires.upscaler, strength: hires.strength,
    })],
    ['strength.label', job.strength],
    ...(job.loras ?? []).map(({ name, scale }) => ['details.lora', `${name} (${scale})`]),
    ...(job.controls ?? []).map((control) => ['details.control', t('details.controlled', {
      type: control.type, model: control.model, strength: control.strength, start: percent(control.start), end: percent(control.end),
    })]),
    ['details.seconds', duration(seconds)],
    ['details.waited', job.started ? duration(Math.max(0, job.started - job.created)) : ''],
    ['details.created', dateTime(job.created)],
    ['details.digest', digest], ['details.job', id],
  ];
}

/** The fields of a file's parameters. */
function fieldsIn({ info, parameters }) {
  const rows = [['details.prompt', parameters.Prompt], ['details.negative', parameters['Negative prompt']]];
  const line = info.split('\n').at(-1) ?? '';
  for (const [, key, quoted, plain] of line.matchAll(/(?:^|, )([A-Z][\w ]*?): (?:"((?:[^"\\]|\\.)*)"|([^,]*))/g)) {
    rows.push([key, quoted ?? plain.trim()]);
  }
  return rows;
}
