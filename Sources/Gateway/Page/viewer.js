// Part of Inkstone. Licence: see LICENSE.

import { address, fetchBlob, showPicture } from './api.js';
import { star } from './actions.js';
import { button, make, saveAs } from './dom.js';
import { t } from './language.js';
import { nameOf } from './pictures.js';

const smallest = 1;
const largest = 16;

/** A picture in full screen: the others with the arrow keys, larger with the wheel, two fingers or + and -. */
export class Viewer {
  constructor(page) {
    this.page = page;
    this.pointers = new Map();
    this.image = make('img', { draggable: false });
    this.plane = make('div', { className: 'viewer-plane', tabIndex: 0, label: 'viewer.plane', attributes: { role: 'group' } }, this.image);
    this.caption = make('p', { className: 'viewer-caption', attributes: { 'aria-live': 'polite' } });
    this.starButton = button('quiet', 'action.star', () => this.star());
    this.previous = button('viewer-turn', '', () => this.turn(-1), { label: 'viewer.previous', textContent: '‹' });
    this.next = button('viewer-turn is-next', '', () => this.turn(1), { label: 'viewer.next', textContent: '›' });
    this.dialog = make('dialog', { className: 'viewer', label: 'viewer.title', id: 'viewer' },
      this.plane, this.previous, this.next,
      make('div', { className: 'viewer-bar' }, this.caption, make('div', { className: 'viewer-tools' },
        button('quiet', '', () => this.zoom(1 / 1.5), { label: 'viewer.smaller', textContent: '−' }),
        button('quiet', '', () => this.zoom(1.5), { label: 'viewer.larger', textContent: '+' }),
        this.starButton, button('quiet', 'download', () => this.download()),
        button('quiet', 'action.details', () => this.details()),
        button('quiet', 'more.close', () => this.dialog.close()))));
    document.body.append(this.dialog);
    this.dialog.addEventListener('keydown', (event) => this.press(event));
    this.dialog.addEventListener('close', () => { if (this.shown) page.stage.show(this.shown); });
    this.plane.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
    }, { passive: false });
    this.plane.addEventListener('dblclick', (event) => this.zoom(this.scale > 1 ? 1 / this.scale : 3, event.clientX, event.clientY));
    this.plane.addEventListener('pointerdown', (event) => {
      this.plane.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
      this.moved = 0;
    });
    this.plane.addEventListener('pointermove', (event) => this.drag(event));
    for (const end of ['pointerup', 'pointercancel']) this.plane.addEventListener(end, (event) => this.release(event));
    document.addEventListener('inkstone:starred', () => this.word());
  }

  /** Shows one of some pictures. */
  open(picture, pictures) {
    this.pictures = pictures.some(({ id }) => id === picture.id) ? pictures : [picture];
    this.show(this.pictures.findIndex(({ id }) => id === picture.id));
    if (!this.dialog.open) this.dialog.showModal();
    this.plane.focus();
  }

  show(index) {
    this.index = index;
    this.shown = this.pictures[index];
    const { width, height } = this.shown;
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.image.alt = this.shown.job.prompt;
    Object.assign(this.image, { width, height });
    this.image.style.aspectRatio = `${width} / ${height}`;
    this.image.style.setProperty('--ratio', String(width / height));
    this.place();
    this.word();
    for (const [item, change] of [[this.previous, -1], [this.next, 1]]) item.hidden = !this.pictures[index + change];
    showPicture(this.image, this.shown.path).catch((error) => this.page.fail(error));
  }

  word() {
    if (!this.shown) return;
    const { width, height, seed, job } = this.shown;
    this.caption.textContent = t('viewer.caption', {
      number: this.index + 1, count: this.pictures.length, width, height, seed, prompt: job.prompt,
    });
    this.starButton.textContent = t(this.shown.isStarred ? 'action.starred' : 'action.star');
    this.starButton.setAttribute('aria-pressed', String(this.shown.isStarred));
  }

  turn(change) {
    if (!this.pictures[this.index + change]) return;
    this.show(this.index + change);
  }

  /** Zooms around a point of the window, or around the middle. */
  zoom(factor, x = null, y = null) {
    const scale = Math.min(largest, Math.max(smallest, this.scale * factor));
    const box = this.plane.getBoundingClientRect();
    const [across, down] = x === null ? [0, 0] : [x - box.left - box.width / 2, y - box.top - box.height / 2];
    this.x = across - ((across - this.x) * scale) / this.scale;
    this.y = down - ((down - this.y) * scale) / this.scale;
    this.scale = scale;
    this.place();
  }

  place() {
    if (this.scale === 1) Object.assign(this, { x: 0, y: 0 });
    const box = this.plane.getBoundingClientRect();
    const bound = (value, side) => Math.min(side * this.scale / 2, Math.max(-side * this.scale / 2, value));
    this.x = bound(this.x, box.width);
    this.y = bound(this.y, box.height);
    this.image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    // From four screen pixels for one of the picture on, its pixels are shown.
    const shown = (this.image.clientWidth * this.scale) / (this.shown?.width ?? 1);
    this.image.classList.toggle('is-pixelated', this.scale > 1 && shown >= 8);
    this.plane.classList.toggle('is-zoomed', this.scale > 1);
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const others = [...this.pointers.values()].filter(({ pointerId }) => pointerId !== event.pointerId);
    if (others.length > 0) {
      const apart = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
      this.zoom(apart(event) / Math.max(1, apart(before)), (event.clientX + others[0].clientX) / 2, (event.clientY + others[0].clientY) / 2);
    } else {
      this.moved += event.clientX - before.clientX;
      if (this.scale > 1) {
        this.x += event.clientX - before.clientX;
        this.y += event.clientY - before.clientY;
        this.place();
      }
    }
    this.pointers.set(event.pointerId, event);
  }

  release(event) {
    if (!this.pointers.delete(event.pointerId) || this.scale > 1 || this.pointers.size > 0) return;
    // A swipe turns the page.
    if (Math.abs(this.moved) > 60) this.turn(this.moved < 0 ? 1 : -1);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60;
    const isZoomed = this.scale > 1;
    const pan = (x, y) => { this.x += x; this.y += y; this.place(); };
    const work = {
      ArrowLeft: () => (isZoomed ? pan(step, 0) : this.turn(-1)), ArrowRight: () => (isZoomed ? pan(-step, 0) : this.turn(1)),
      ArrowUp: () => pan(0, isZoomed ? step : 0), ArrowDown: () => pan(0, isZoomed ? -step : 0),
      Home: () => this.show(0), End: () => this.show(this.pictures.length - 1),
      '+': () => this.zoom(1.5), '=': () => this.zoom(1.5), '-': () => this.zoom(1 / 1.5), 0: () => this.zoom(1 / this.scale),
      d: () => this.download(), s: () => this.star(), i: () => this.details(), f: () => this.dialog.close(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!work) return;
    event.preventDefault();
    work();
  }

  star() { star(this.shown, !this.shown.isStarred).catch((error) => this.page.fail(error)); }

  async details() {
    const { Details } = await import('./details.js');
    Details.of(this.page).showPicture(this.shown);
  }

  async download() {
    saveAs(await fetchBlob(this.shown.path), nameOf(this.shown));
  }
}
