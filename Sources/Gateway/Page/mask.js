// Part of Inkstone. Licence: see LICENSE.

import { button, loadStyle, make, slider } from './dom.js';
import { useTexts } from './language.js';

const $ = (id) => document.getElementById(id);
const largestSide = 1024;
const mostSteps = 30;
const colours = ['#e0412b', '#2f6fed', '#12a150', '#ffffff'];
/** A side grows by this share of the picture with a key. */
const keyShare = 1 / 8;
/** The picture may become so many times as wide and as high. */
const mostGrowth = 3;
const sides = [['left', '‹'], ['right', '›'], ['top', '˄'], ['bottom', '˅']];

await Promise.all([useTexts('more'), loadStyle('mask.css')]);

const canvasOf = (width, height) => make('canvas', { width, height });

/**
 * Painting over the parts of an image that are generated again.
 *
 * `paint` is a canvas in the image's shape, opaque where the image changes. The image itself grows where a side is
 * dragged outwards; what is new is painted.
 */
export class MaskPainter {
  /** `onDone()` is called when the dialog is closed, `onPicture(picture)` before it if the picture has grown. */
  constructor(onDone, onPicture = () => {}) {
    Object.assign(this, { onDone, onPicture });
    this.reset();
    this.last = null;
    this.colour = colours[0];
    this.zoom = 1;
    this.build();
    this.listen();
  }

  build() {
    this.view = make('div', { className: 'mask-view' });
    this.plane = make('div', { className: 'mask-plane' });
    this.ring = make('span', { className: 'mask-ring', hidden: true });
    $('mask-canvas').replaceWith(this.view);
    this.canvas = make('canvas', { id: 'mask-canvas', label: 'mask.canvas', tabIndex: 0, attributes: { role: 'img' } });
    this.handles = sides.map(([side, text]) => make('button', {
      type: 'button', className: `mask-handle is-${side}`, textContent: text, label: `mask.extend.${side}`,
      on: { pointerdown: (event) => this.drag(event, side), keydown: (event) => this.extendByKey(event, side) },
    }));
    this.plane.append(this.canvas, this.ring, ...this.handles);
    this.view.append(this.plane);
    this.back = button('secondary', 'mask.undo', () => this.step(this.before, this.after), { id: 'mask-undo' });
    this.forth = button('secondary', 'mask.redo', () => this.step(this.after, this.before), { id: 'mask-redo' });
    this.edge = slider('mask.edge', { min: 0, max: 15, step: 1, value: 0 }, () => this.show(), (number) => `${number} %`);
    this.edge.input.id = 'mask-edge';
    this.swatches = colours.map((colour, index) => {
      const swatch = make('button', {
        type: 'button', className: 'mask-swatch', label: `mask.colour.${index}`, attributes: { 'aria-pressed': String(index === 0) },
        on: { click: () => this.useColour(colour) },
      });
      swatch.style.background = colour;
      return swatch;
    });
    const cancel = button('secondary', 'mask.cancel', () => { this.restore(this.opened); $('mask').close(); }, { id: 'mask-cancel' });
    $('mask-done').before(
      this.back, this.forth, button('secondary', 'mask.invert', () => this.change(() => this.invert()), { id: 'mask-invert' }),
      button('secondary', '', () => this.useZoom(this.zoom / 1.5), { label: 'viewer.smaller', textContent: '−' }),
      button('secondary', '', () => this.useZoom(this.zoom * 1.5), { label: 'viewer.larger', textContent: '+', id: 'mask-zoom' }),
      make('span', { className: 'mask-swatches', label: 'mask.colour', attributes: { role: 'group' } }, ...this.swatches), this.edge.row, cancel);
    $('mask').querySelector('h2').after(make('p', { className: 'hint', i18n: 'mask.help' }));
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.remember();
      this.stroke(event);
    });
    canvas.addEventListener('pointermove', (event) => {
      this.moveRing(event);
      if (event.buttons & 1) this.stroke(event);
    });
    canvas.addEventListener('pointerleave', () => { this.ring.hidden = true; });
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { this.last = null; });
    this.view.addEventListener('wheel', (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.useZoom(this.zoom * Math.exp(-event.deltaY / 300));
    }, { passive: false });
    $('mask-erase').addEventListener('click', () => this.erase(!this.isErasing));
    $('mask-all').addEventListener('click', () => this.change(() => this.fill(true)));
    $('mask-clear').addEventListener('click', () => this.change(() => this.fill(false)));
    $('mask-done').addEventListener('click', () => $('mask').close());
    $('mask').addEventListener('keydown', (event) => this.press(event));
    $('mask').addEventListener('close', () => {
      this.isEmpty = !this.hasPaint();
      if (this.picture !== this.opened.picture) this.onPicture(this.picture);
      this.onDone();
    });
  }

  /** Clears the paint, as for another image. */
  reset() {
    this.paint = null;
    /** States to go back and forth to. */
    this.before = [];
    this.after = [];
    /** Whether nothing was painted when the dialog was last closed. */
    this.isEmpty = true;
  }

  get context() { return this.paint.getContext('2d', { willReadFrequently: true }); }

  get isErasing() { return $('mask-erase').getAttribute('aria-pressed') === 'true'; }

  hasPaint() {
    const { width, height } = this.paint;
    const pixels = this.context.getImageData(0, 0, width, height).data;
    for (let place = 3; place < pixels.length; place += 4) if (pixels[place] > 127) return true;
    return false;
  }

  open(picture) {
    this.usePicture(picture);
    this.before = [];
    this.after = [];
    this.opened = this.state();
    this.erase(false);
    this.zoom = 1;
    this.layOut();
    this.showSteps();
    $('mask').showModal();
    this.canvas.focus();
  }

  /** Sets the paint from an image, as of an earlier visit: opaque or white where the picture changes. */
  load(picture, image) {
    this.reset();
    this.usePicture(picture);
    this.context.drawImage(image, 0, 0, this.paint.width, this.paint.height);
    const pixels = this.context.getImageData(0, 0, this.paint.width, this.paint.height);
    for (let place = 0; place < pixels.data.length; place += 4) {
      // Black is kept in masks without transparency.
      if (pixels.data[place] < 128) pixels.data[place + 3] = 0;
    }
    this.context.putImageData(pixels, 0, 0);
    this.isEmpty = !this.hasPaint();
  }

  usePicture(picture) {
    this.picture = picture;
    const scale = Math.min(1, largestSide / Math.max(picture.width, picture.height));
    this.canvas.width = Math.max(1, Math.round(picture.width * scale));
    this.canvas.height = Math.max(1, Math.round(picture.height * scale));
    if (!this.paint) this.paint = canvasOf(this.canvas.width, this.canvas.height);
    this.show();
  }

  /** A small image is enlarged, and shown as a whole. */
  layOut() {
    const ratio = this.canvas.width / this.canvas.height;
    this.plane.style.width = `calc(min(34rem, 86vw, 52vh * ${ratio}) * ${this.zoom})`;
    this.plane.style.aspectRatio = String(ratio);
  }

  useZoom(zoom) {
    const { view } = this;
    const middle = [(view.scrollLeft + view.clientWidth / 2) / view.scrollWidth, (view.scrollTop + view.clientHeight / 2) / view.scrollHeight];
    this.zoom = Math.min(8, Math.max(1, zoom));
    this.layOut();
    view.scrollTo(middle[0] * view.scrollWidth - view.clientWidth / 2, middle[1] * view.scrollHeight - view.clientHeight / 2);
  }

  useColour(colour) {
    this.colour = colour;
    this.swatches.forEach((swatch, index) => swatch.setAttribute('aria-pressed', String(colours[index] === colour)));
    this.show();
  }

  erase(isOn) { $('mask-erase').setAttribute('aria-pressed', String(isOn)); }

  // MARK: Back and forth

  state() {
    const { width, height } = this.paint;
    const { data } = this.context.getImageData(0, 0, width, height);
    return { picture: this.picture, width, height, opacity: Uint8Array.from({ length: width * height }, (_, index) => data[4 * index + 3]) };
  }

  restore({ picture, width, height, opacity }) {
    this.paint = canvasOf(width, height);
    const pixels = new ImageData(width, height);
    pixels.data.fill(255);
    opacity.forEach((value, index) => { pixels.data[4 * index + 3] = value; });
    this.context.putImageData(pixels, 0, 0);
    this.usePicture(picture);
    this.layOut();
  }

  /** Makes the present state one to which undo returns. */
  remember() {
    this.before.push(this.state());
    if (this.before.length > mostSteps) this.before.shift();
    this.after = [];
    this.showSteps();
  }

  change(work) {
    this.remember();
    work();
    this.show();
  }

  step(from, to) {
    const state = from.pop();
    if (!state) return;
    to.push(this.state());
    this.restore(state);
    this.showSteps();
  }

  showSteps() {
    for (const [item, states] of [[this.back, this.before], [this.forth, this.after]]) {
      const hadFocus = item === document.activeElement;
      item.disabled = states.length === 0;
      if (item.disabled && hadFocus) this.canvas.focus();
    }
  }

  press(event) {
    const isCommand = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const brush = (change) => {
      $('mask-brush').value = Number($('mask-brush').value) + change;
      this.resizeRing();
    };
    let work = null;
    if (isCommand) work = { z: () => this.step(...(event.shiftKey ? [this.after, this.before] : [this.before, this.after])), y: () => this.step(this.after, this.before) }[key];
    else if (!event.altKey) {
      work = {
        '[': () => brush(-2), ']': () => brush(2), e: () => this.erase(!this.isErasing), i: () => this.change(() => this.invert()),
        '+': () => this.useZoom(this.zoom * 1.5), '-': () => this.useZoom(this.zoom / 1.5), 0: () => this.useZoom(1),
      }[key];
    }
    if (!work) return;
    event.preventDefault();
    work();
  }

  // MARK: Painting

  /** The diameter of the brush: a share of the shorter side, independent of the size on the screen. */
  get brush() { return (Number($('mask-brush').value) / 100) * Math.min(this.canvas.width, this.canvas.height); }

  moveRing(event) {
    if (event.pointerType === 'touch') return;
    const box = this.plane.getBoundingClientRect();
    this.ring.hidden = false;
    this.ring.style.translate = `${event.clientX - box.left}px ${event.clientY - box.top}px`;
    this.resizeRing();
  }

  resizeRing() {
    this.ring.style.width = `${(this.brush * this.canvas.clientWidth) / this.canvas.width}px`;
  }

  stroke(event) {
    const { canvas, context } = this;
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    const point = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    context.globalCompositeOperation = this.isErasing ? 'destination-out' : 'source-over';
    Object.assign(context, { lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff', lineWidth: this.brush });
    context.beginPath();
    context.moveTo(...(this.last ?? point));
    context.lineTo(...point);
    context.stroke();
    this.last = point;
    this.show();
  }

  fill(isOn) {
    const { context } = this;
    context.globalCompositeOperation = 'source-over';
    context.clearRect(0, 0, this.paint.width, this.paint.height);
    if (!isOn) return;
    context.fillStyle = '#fff';
    context.fillRect(0, 0, this.paint.width, this.paint.height);
  }

  invert() {
    const { context } = this;
    context.globalCompositeOperation = 'source-out';
    context.fillStyle = '#fff';
    context.fillRect(0, 0, this.paint.width, this.paint.height);
  }

  // MARK: Growing

  /** Follows a handle that is dragged outwards; the picture grows when it is let go. */
  drag(event, side) {
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    const isAcross = side === 'left' || side === 'right';
    const sign = side === 'left' || side === 'top' ? -1 : 1;
    const start = isAcross ? event.clientX : event.clientY;
    const pixel = this.picture.width / this.canvas.clientWidth;
    let length = 0;
    const move = (moved) => {
      length = Math.max(0, sign * ((isAcross ? moved.clientX : moved.clientY) - start));
      handle.style.translate = isAcross ? `${sign * length}px 0` : `0 ${sign * length}px`;
    };
    const end = () => {
      handle.removeEventListener('pointermove', move);
      handle.style.translate = '';
      if (length > 4) this.extend(side, Math.round(length * pixel));
    };
    handle.addEventListener('pointermove', move);
    handle.addEventListener('pointerup', end, { once: true });
    handle.addEventListener('pointercancel', end, { once: true });
  }

  extendByKey(event, side) {
    const outwards = { left: 'ArrowLeft', right: 'ArrowRight', top: 'ArrowUp', bottom: 'ArrowDown' }[side];
    if (event.key !== outwards && event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    const isAcross = side === 'left' || side === 'right';
    this.extend(side, Math.round(keyShare * (isAcross ? this.picture.width : this.picture.height)));
  }

  /** Adds pixels at a side: its last ones, repeated, and painted, so that they are generated. */
  extend(side, pixels) {
    const { width, height } = this.picture;
    const isAcross = side === 'left' || side === 'right';
    const first = this.opened.picture;
    const most = isAcross ? mostGrowth * first.width - width : mostGrowth * first.height - height;
    const added = Math.min(pixels, most);
    if (added < 1) return;
    this.remember();
    const grown = canvasOf(width + (isAcross ? added : 0), height + (isAcross ? 0 : added));
    const [x, y] = [side === 'left' ? added : 0, side === 'top' ? added : 0];
    const context = grown.getContext('2d');
    const edge = { left: [0, 0, 1, height], right: [width - 1, 0, 1, height], top: [0, 0, width, 1], bottom: [0, height - 1, width, 1] }[side];
    const strip = { left: [0, 0, added, height], right: [width, 0, added, height], top: [0, 0, width, added], bottom: [0, height, width, added] }[side];
    context.drawImage(this.picture, ...edge, ...strip);
    context.drawImage(this.picture, x, y);
    const old = this.paint;
    this.paint = null;
    this.usePicture(grown);
    const scale = this.paint.width / grown.width;
    this.context.drawImage(old, x * scale, y * scale, width * scale, height * scale);
    this.context.globalCompositeOperation = 'source-over';
    this.context.fillStyle = '#fff';
    // A little of the old edge is generated again, so that no seam is left.
    const seam = Math.round(0.02 * Math.min(width, height));
    const [left, top, across, down] = strip;
    this.context.fillRect(
      (left - (side === 'right' ? seam : 0)) * scale, (top - (side === 'bottom' ? seam : 0)) * scale,
      (across + (isAcross ? seam : 0)) * scale, (down + (isAcross ? 0 : seam)) * scale);
    this.layOut();
    this.show();
  }

  // MARK: Result

  /** The paint with its edge moved outwards, in the size of `paint`. */
  get grownPaint() {
    const share = Number(this.edge?.input.value ?? 0) / 100;
    if (share === 0) return this.paint;
    const grown = canvasOf(this.paint.width, this.paint.height);
    const context = grown.getContext('2d');
    const radius = share * Math.min(grown.width, grown.height);
    context.drawImage(this.paint, 0, 0);
    for (const part of [1, 0.5]) {
      for (let turn = 0; turn < 24; turn += 1) {
        const angle = (turn * Math.PI) / 12;
        context.drawImage(this.paint, part * radius * Math.cos(angle), part * radius * Math.sin(angle));
      }
    }
    return grown;
  }

  show() {
    if (!this.paint || !this.picture) return;
    const { canvas } = this;
    const context = canvas.getContext('2d');
    context.globalAlpha = 1;
    context.drawImage(this.picture, 0, 0, canvas.width, canvas.height);
    const tint = canvasOf(canvas.width, canvas.height);
    const coloured = tint.getContext('2d');
    coloured.drawImage(this.grownPaint, 0, 0, tint.width, tint.height);
    coloured.globalCompositeOperation = 'source-in';
    coloured.fillStyle = this.colour;
    coloured.fillRect(0, 0, tint.width, tint.height);
    context.globalAlpha = 0.55;
    context.drawImage(tint, 0, 0);
  }

  /** A small picture with its paint. */
  thumbnail(longest) {
    const scale = Math.min(1, longest / Math.max(this.canvas.width, this.canvas.height));
    const small = canvasOf(Math.max(1, Math.round(this.canvas.width * scale)), Math.max(1, Math.round(this.canvas.height * scale)));
    this.show();
    small.getContext('2d').drawImage(this.canvas, 0, 0, small.width, small.height);
    return small;
  }

  /** The mask of a part of the image as a data URL: white where it changes, black elsewhere. */
  data(x, y, across, down, width, height) {
    const scale = this.paint.width / this.picture.width;
    const canvas = canvasOf(width, height);
    const context = canvas.getContext('2d');
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
    context.drawImage(this.grownPaint, x * scale, y * scale, across * scale, down * scale, 0, 0, width, height);
    return canvas.toDataURL();
  }
}
