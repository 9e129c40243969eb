// Part of Inkstone. Licence: see LICENSE.

import { Actions } from './actions.js';
import { Controls } from './control.js';
import { button, loadStyle, make } from './dom.js';
import { useTexts } from './language.js';
import { Modes } from './modes.js';
import { Sampling } from './sampling.js';
import { Styles } from './styles.js';

const $ = (id) => document.getElementById(id);

/** What is loaded after the first view: further fields of a request, and what is done with a picture. */
export class More {
  /** `page` has the page's parts and what they can do: see `app.js`. */
  constructor(page) {
    this.page = page;
    /** Parts with `useModel(model)`, `word()` and `take(file, purpose)`, each of which may be missing. */
    this.parts = [];
    const sampling = new Sampling(page, $('sampling-slot'));
    this.sampling = sampling;
    const controls = new Controls(page, $('control-slot'));
    const actions = new Actions(page, $('result-more'));
    const styles = new Styles(page, $('prompt-more'), sampling);
    this.modes = new Modes(page, $('modes-slot'));
    this.parts.push(sampling, controls, styles, this.modes, actions, { take: (file, purpose) => this.takeForDetails(file, purpose) });
    page.settings.parts.push(sampling, controls, styles);
    this.addReader();
    document.addEventListener('inkstone:extended', ({ detail }) => this.extend(detail));
  }

  /** A picture to start from has grown: the size grows with it, as far as the model goes. */
  extend({ before, after }) {
    const { settings } = this.page;
    const { limits } = settings.model;
    const { width, height } = settings.values();
    // As many pixels for each of the picture's as before, in its new shape.
    const area = (width * height * after.width * after.height) / (before.width * before.height);
    const across = Math.sqrt((area * after.width) / after.height);
    const wanted = [across, area / across];
    const share = Math.min(1, limits.maximumWidth / wanted[0], limits.maximumHeight / wanted[1]);
    const side = (length) => Math.max(1, Math.round((length * share) / limits.sizeMultiple)) * limits.sizeMultiple;
    settings.setSize({ width: side(wanted[0]), height: side(wanted[1]) });
  }

  /** Shows what a file says, where it was dropped for that. */
  takeForDetails(file, purpose) {
    if (purpose !== 'details') return false;
    import('./details.js').then(({ Details }) => Details.of(this.page).showFile(file)).catch(this.page.fail);
    return true;
  }

  /** A zone for dropped files, and a button for who cannot drop. */
  addReader() {
    $('drop').append(make('div', { data: { drop: 'details' } }, make('p', { i18n: 'details.drop' })));
    const file = make('input', {
      type: 'file', accept: 'image/*', hidden: true, id: 'reader-file', label: 'details.read',
      on: { change: () => { if (file.files[0]) this.take(file.files[0], 'details'); file.value = ''; } },
    });
    $('gallery-tools').append(file, button('secondary', 'details.read', () => file.click(), { id: 'reader' }));
  }

  static async load(page) {
    await Promise.all([useTexts('more'), loadStyle('more.css')]);
    const more = new More(page);
    await more.sampling.loaded;
    return more;
  }

  useModel(model) {
    for (const part of this.parts) part.useModel?.(model);
  }

  /** Translates what is not translated with the document. */
  word() {
    for (const part of this.parts) part.word?.();
  }

  /** The requests that a request of the form stands for; throws `FieldError`. */
  expand(request) {
    return this.modes.expand(request);
  }

  /** Offers a file that was dropped for a purpose; returns whether a part has taken it. */
  take(file, purpose) {
    return this.parts.some((part) => part.take?.(file, purpose));
  }
}
