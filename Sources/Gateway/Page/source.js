// Part of Inkstone. Licence: see LICENSE.

import { keep, kept } from './keep.js';
import { t } from './language.js';
import { ofThisTab } from './store.js';

const $ = (id) => document.getElementById(id);
const standardStrength = 0.6;
const largestSide = 2048;
const thumbnailSide = 240;

/** The source image of a request. */
export class Source {
  constructor(onChange) {
    this.onChange = onChange;
    this.picture = null;
    this.mask = null;
    $('mask-open').addEventListener('click', () => this.openMask());
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

  get isMasked() { return this.isSet && this.mask !== null && !this.mask.isEmpty; }

  get strength() { return Number($('strength').value); }

  /** Uses a file; returns whether it is an image. */
  async choose(blob, strength = standardStrength) {
    try {
      this.picture = await createImageBitmap(blob);
      keep('source', blob);
    } catch {
      $('source-note').textContent = t('source.bad');
      return false;
    }
    this.mask?.reset();
    $('source-picture').src = this.thumbnail().toDataURL();
    $('strength').value = strength;
    this.changed();
    return true;
  }

  thumbnail() {
    const { width, height } = this.picture;
    return canvasOf(this.picture, 0, 0, width, height, Math.min(1, thumbnailSide / Math.max(width, height)));
  }

  remove() {
    this.picture = null;
    keep('source', null);
    this.mask?.reset();
    $('source-picture').removeAttribute('src');
    this.changed();
  }

  async openMask() {
    // Rarely used, so it is loaded on demand.
    const { MaskPainter } = await import('./mask.js');
    this.mask ??= new MaskPainter(() => {
      // The painted part is generated at full strength unless the user lowers it.
      if (this.isMasked && this.strength === standardStrength) $('strength').value = 1;
      $('source-picture').src = (this.isMasked ? this.mask.thumbnail(thumbnailSide) : this.thumbnail()).toDataURL();
      this.changed();
    }, (picture) => {
      const before = this.picture;
      this.picture = picture;
      document.dispatchEvent(new CustomEvent('inkstone:extended', { detail: { before, after: picture } }));
    });
    this.mask.open(this.picture);
  }

  /** The image that this tab had before it was loaded again. */
  async recover() {
    const blob = ofThisTab.get('strength') ? await kept('source') : null;
    if (blob && !this.isSet) await this.choose(blob, Number(ofThisTab.get('strength')));
  }

  changed() {
    if (this.isSet) ofThisTab.set('strength', this.strength);
    else ofThisTab.remove('strength');
    $('source-set').hidden = !this.isSet;
    $('source-choose').hidden = this.isSet;
    $('source-note').textContent = this.isMasked ? t('mask.set') : '';
    $('strength-figure').textContent = this.strength.toFixed(2);
    this.onChange();
  }

  /** The fields of a request in this aspect ratio: the image, and the mask if there is paint. */
  fields(width, height) {
    const part = this.part(width, height);
    const image = canvasOf(this.picture, ...part);
    if (!this.isMasked) return { image: image.toDataURL() };
    const [x, y, across, down] = part;
    return {
      image: image.toDataURL(), mask: this.mask.data(x, y, across, down, image.width, image.height),
    };
  }

  /** The part of the image that a request of this size uses. */
  part(width, height) {
    return centreOf(this.picture, width, height);
  }
}

/** The centre of an image in an aspect ratio, and the factor of its reduction. */
export function centreOf({ width: w, height: h }, width, height) {
  const across = Math.min(w, (h * width) / height);
  const down = Math.min(h, (w * height) / width);
  const scale = Math.min(1, largestSide / Math.max(across, down));
  return [(w - across) / 2, (h - down) / 2, across, down, scale];
}

/** A part of an image as a canvas. */
export function canvasOf(picture, x, y, width, height, scale) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, x, y, width, height, 0, 0, canvas.width, canvas.height);
  return canvas;
}
