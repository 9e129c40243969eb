// Part of Inkstone. Licence: see LICENSE.

import { t } from './language.js';

const $ = (id) => document.getElementById(id);
const standardStrength = 0.6;
const largestSide = 2048;

/** The picture that a request starts from. */
export class Source {
  constructor(onChange) {
    this.onChange = onChange;
    this.picture = null;
    $('source-file').addEventListener('change', () => {
      const [file] = $('source-file').files;
      $('source-file').value = '';
      if (file) this.choose(file);
    });
    $('source-choose').addEventListener('click', () => $('source-file').click());
    $('source-remove').addEventListener('click', () => {
      this.remove();
      $('source-choose').focus();
    });
    $('strength').addEventListener('input', () => this.changed());
  }

  get isSet() { return this.picture !== null; }

  get strength() { return Number($('strength').value); }

  /** Uses a file; returns whether it is a picture. */
  async choose(blob, strength = standardStrength) {
    try {
      this.picture = await createImageBitmap(blob);
    } catch {
      $('source-note').textContent = t('source.bad');
      return false;
    }
    const { width, height } = this.picture;
    const thumbnail = canvasOf(this.picture, 0, 0, width, height, Math.min(1, 240 / Math.max(width, height)));
    $('source-picture').src = thumbnail.toDataURL();
    $('strength').value = strength;
    this.changed();
    return true;
  }

  remove() {
    this.picture = null;
    $('source-picture').removeAttribute('src');
    this.changed();
  }

  changed() {
    $('source-set').hidden = !this.isSet;
    $('source-choose').hidden = this.isSet;
    $('source-note').textContent = '';
    $('strength-figure').textContent = this.strength.toFixed(2);
    this.onChange();
  }

  /** The middle of the picture in the shape of the request, as a data URL. */
  data(width, height) {
    const { width: w, height: h } = this.picture;
    const across = Math.min(w, (h * width) / height);
    const down = Math.min(h, (w * height) / width);
    const scale = Math.min(1, largestSide / Math.max(across, down));
    return canvasOf(this.picture, (w - across) / 2, (h - down) / 2, across, down, scale).toDataURL();
  }
}

function canvasOf(picture, x, y, width, height, scale) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, x, y, width, height, 0, 0, canvas.width, canvas.height);
  return canvas;
}
