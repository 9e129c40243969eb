// Part of Inkstone. Licence: see LICENSE.

import { showPicture } from './api.js';
import { differences } from './facts.js';
import { t } from './language.js';

const $ = (id) => document.getElementById(id);

/** Shows a second image over the current one, with a movable divider. */
export class Compare {
  /** `models()` are the models, for their names. */
  constructor(models) {
    this.models = models;
    this.other = null;
    $('divider').addEventListener('input', () => this.place());
  }

  get isOn() { return this.other !== null; }

  /** Compares with an image; one without a job is the source of the current one. */
  async use(other, shown) {
    this.other = other;
    this.shown = shown;
    $('compare').setAttribute('aria-pressed', 'true');
    $('frame').classList.add('is-compared');
    for (const id of ['other', 'divider', 'seam', 'compare-names']) $(id).hidden = false;
    $('divider').value = 50;
    this.place();
    this.word();
    await showPicture($('other'), other.path);
  }

  end() {
    if (!this.isOn) return;
    this.other = null;
    $('compare').setAttribute('aria-pressed', 'false');
    $('frame').classList.remove('is-compared');
    for (const id of ['other', 'divider', 'seam', 'compare-names']) $(id).hidden = true;
    $('other').removeAttribute('src');
  }

  place() {
    $('frame').style.setProperty('--cut', `${$('divider').value}%`);
  }

  word() {
    if (!this.isOn) return;
    const [left, right] = this.other.job ? differences(this.shown, this.other, this.models())
      : [t('compare.result'), t('compare.source')];
    $('compare-left').textContent = left;
    $('compare-right').textContent = right;
  }
}
