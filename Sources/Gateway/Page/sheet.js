// Part of Inkstone. Licence: see LICENSE.

import { showPicture } from './api.js';
import { t } from './language.js';
import { seedAfter } from './seeds.js';

const $ = (id) => document.getElementById(id);

/** Columns for a number of pictures: rows that are full, and not more of them than columns. */
const columnsFor = (count) => {
  const least = Math.ceil(Math.sqrt(count));
  for (let across = least; across <= least + 2; across += 1) if (count % across === 0) return across;
  return least;
};

/** A contact sheet: the images of one request side by side, each with its seed. */
export class Sheet {
  /** `open(index)` is called when an image is pressed. */
  constructor(open) {
    this.open = open;
    this.seeds = [];
    $('sheet-save').addEventListener('click', () => this.save());
  }

  /** Empty cells for the images of a request. */
  begin(seed, count) {
    this.seeds = Array.from({ length: count }, (_, index) => seedAfter(seed, index));
    $('sheet').replaceChildren(...this.seeds.map((number, index) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.disabled = true;
      const image = document.createElement('img');
      image.alt = '';
      const caption = document.createElement('span');
      caption.textContent = number;
      button.append(image, caption);
      button.addEventListener('click', () => this.open(index));
      return button;
    }));
    this.across = columnsFor(count);
    this.rows = Math.ceil(count / this.across);
    $('sheet').style.setProperty('--across', String(this.across));
    this.word();
  }

  /** The shape of the sheet, from that of its pictures. */
  shape(width, height) {
    $('sheet').style.setProperty('--cell', `${width / height}`);
    return { width: this.across * width, height: this.rows * height };
  }

  place(index) { return $('sheet').children[index]; }

  preview(index, url) {
    const place = this.place(index);
    if (!place || !place.disabled) return;
    place.firstChild.src = url;
    place.firstChild.classList.add('is-preview');
  }

  async picture(index, picture) {
    const place = this.place(index);
    if (!place) return;
    place.disabled = false;
    place.firstChild.classList.remove('is-preview');
    await showPicture(place.firstChild, picture.path);
  }

  word() {
    [...$('sheet').children].forEach((button, index) => {
      button.setAttribute('aria-label', t('sheet.item', { seed: this.seeds[index] }));
    });
  }

  /** The whole sheet as one file. */
  async save() {
    const images = [...$('sheet').querySelectorAll('img')];
    await Promise.all(images.map((image) => image.decode().catch(() => {})));
    const { across } = this;
    const { naturalWidth: width, naturalHeight: height } = images[0];
    const gap = 8;
    const line = Math.max(16, Math.round(width / 14));
    const canvas = document.createElement('canvas');
    canvas.width = across * (width + gap) + gap;
    canvas.height = Math.ceil(images.length / across) * (height + line + 2 * gap) + gap;
    const context = canvas.getContext('2d');
    context.fillStyle = '#ffffff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = '#1e2127';
    context.font = `${Math.round(line * 0.8)}px system-ui, sans-serif`;
    images.forEach((image, index) => {
      const x = gap + (index % across) * (width + gap);
      const y = gap + Math.floor(index / across) * (height + line + 2 * gap);
      context.drawImage(image, x, y, width, height);
      context.fillText(String(this.seeds[index]), x, y + height + line);
    });
    const blob = await new Promise((resolve) => { canvas.toBlob(resolve, 'image/png'); });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `inkstone-sheet-${this.seeds[0]}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}
