// Part of Inkstone. Licence: see LICENSE.

import { fetchBlob } from './api.js';
import { t } from './language.js';
import { parametersIn, parametersOf, valuesOf } from './pictures.js';
import { isSeed } from './seeds.js';

const $ = (id) => document.getElementById(id);

/** What fills the form: pictures with parameters, files, addresses and text. */
export class Inputs {
  /** `page` has the page's parts: see `app.js`. */
  constructor(page) {
    Object.assign(this, page);
    $('prompt').addEventListener('paste', (event) => this.takeText(event));
  }

  /** Fills the form with the parameters of a picture. */
  async restore(parameters) {
    await this.loadMore();
    const takeBack = this.settings.snapshot();
    const model = this.models().find(({ id }) => id === parameters.model);
    if (model && model !== this.settings.model) this.useModel(model);
    const missing = this.settings.reuse(parameters);
    if (parameters.source) await this.source.choose(await fetchBlob(parameters.source), parameters.strength);
    else this.source.remove();
    const notes = [];
    if (!parameters.source && parameters.strength) notes.push(t('restore.source', { strength: parameters.strength }));
    if (parameters.model && !model) notes.push(t('restore.model', { model: parameters.model }));
    if (missing.length > 0) notes.push(t('restore.loras', { names: missing.join(', ') }));
    this.views.show('create');
    this.note([t('restored'), ...notes].join(' '), takeBack);
  }

  async reuse(picture) {
    await this.restore(parametersOf(picture)).catch(this.fail);
    $('prompt').focus();
  }

  async startFrom(picture) {
    try {
      if (!await this.source.choose(await fetchBlob(picture.path))) return;
      this.settings.setSize(picture);
      $('prompt').focus();
      this.note(t('source.taken'));
    } catch (error) {
      this.fail(error);
    }
  }

  /** Takes a file that was dropped or pasted. */
  async takeFile(file, wish) {
    await this.loadMore();
    if (this.offer(file, wish)) return;
    const parameters = wish === 'source' ? null : await parametersIn(file).catch(() => null);
    if (parameters) {
      await this.restore(parameters).catch(this.fail);
    } else if (wish === 'restore') {
      this.note(t('restore.none'));
    } else if (await this.source.choose(file)) {
      this.views.show('create');
      this.settings.setShape(this.source.picture.width, this.source.picture.height);
      this.note(t('source.taken'));
    } else {
      this.messages.showError(() => t('source.bad'));
    }
  }

  /** Fields of an address such as `#create?prompt=a+cat&seed=7`. */
  async restoreFromAddress(values) {
    const { width, height, ...numbers } = Object.fromEntries(['width', 'height', 'steps', 'guidance']
      .filter((name) => values.has(name) && Number.isFinite(Number(values.get(name))))
      .map((name) => [name, Number(values.get(name))]));
    const seed = values.get('seed') ?? '';
    await this.restore({
      ...(values.has('prompt') && { prompt: values.get('prompt') }), negative: values.get('negative') ?? '',
      model: values.get('model') ?? undefined, ...(width && height && { width, height }), ...numbers, ...(isSeed(seed) && { seed }),
      loras: values.getAll('lora').map((text) => {
        const [, name, scale] = text.match(/^(.*?)(?::(-?[\d.]+))?$/u);
        return { name, scale: Number(scale ?? 1) };
      }),
    }).catch(this.fail);
  }

  /** The text of a picture's parameters that is pasted into the prompt fills the form. */
  async takeText(event) {
    const text = event.clipboardData?.getData('text') ?? '';
    if (!/(?:^|\n)Steps: \d+,/u.test(text)) return;
    event.preventDefault();
    const { readInfotext } = await import('./infotext.js');
    await this.restore(valuesOf(readInfotext(text), text)).catch(this.fail);
  }
}
