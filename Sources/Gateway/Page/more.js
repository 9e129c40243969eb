// Part of Inkstone. Licence: see LICENSE.

import { address } from './api.js';
import { useTexts } from './language.js';

/** A style sheet that is loaded on demand. */
const loadStyle = (name) => new Promise((resume) => {
  const link = document.createElement('link');
  Object.assign(link, { rel: 'stylesheet', href: address(`assets/${name}`) });
  for (const end of ['load', 'error']) link.addEventListener(end, resume);
  document.head.append(link);
});

/** What is loaded after the first view: further fields of a request, and what is done with a picture. */
export class More {
  /** `page` has the page's parts and what they can do: see `app.js`. */
  constructor(page) {
    this.page = page;
    /** Parts with `useModel(model)`, `word()` and `take(file, purpose)`, each of which may be missing. */
    this.parts = [];
  }

  static async load(page) {
    await Promise.all([useTexts('more'), loadStyle('more.css')]);
    return new More(page);
  }

  useModel(model) {
    for (const part of this.parts) part.useModel?.(model);
  }

  /** Translates what is not translated with the document. */
  word() {
    for (const part of this.parts) part.word?.();
  }

  /** Offers a file that was dropped for a purpose; returns whether a part has taken it. */
  take(file, purpose) {
    return this.parts.some((part) => part.take?.(file, purpose));
  }
}
