// Part of Inkstone. Licence: see LICENSE.

const $ = (id) => document.getElementById(id);
const largestSide = 1024;

/**
 * Painting over the parts of an image that are generated again.
 *
 * `paint` is a canvas in the image's shape, opaque where the image changes.
 */
export class MaskPainter {
  constructor(onDone) {
    this.onDone = onDone;
    this.reset();
    this.last = null;
    const canvas = $('mask-canvas');
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.stroke(event);
    });
    canvas.addEventListener('pointermove', (event) => { if (event.buttons & 1) this.stroke(event); });
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { this.last = null; });
    $('mask-erase').addEventListener('click', () => {
      const isOn = $('mask-erase').getAttribute('aria-pressed') !== 'true';
      $('mask-erase').setAttribute('aria-pressed', String(isOn));
    });
    $('mask-all').addEventListener('click', () => this.fill(true));
    $('mask-clear').addEventListener('click', () => this.fill(false));
    $('mask-done').addEventListener('click', () => $('mask').close());
    $('mask').addEventListener('close', () => {
      this.isEmpty = !this.hasPaint();
      this.onDone();
    });
  }

  /** Clears the paint, as for another image. */
  reset() {
    this.paint = null;
    /** Whether nothing was painted when the dialog was last closed. */
    this.isEmpty = true;
  }

  hasPaint() {
    const { width, height } = this.paint;
    const pixels = this.paint.getContext('2d', { willReadFrequently: true }).getImageData(0, 0, width, height).data;
    for (let place = 3; place < pixels.length; place += 4) if (pixels[place] > 127) return true;
    return false;
  }

  open(picture) {
    this.picture = picture;
    const scale = Math.min(1, largestSide / Math.max(picture.width, picture.height));
    const canvas = $('mask-canvas');
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    // A small image is enlarged, and shown as a whole.
    canvas.style.width = `min(34rem, 100%, calc(62vh * ${canvas.width / canvas.height}))`;
    if (!this.paint) {
      this.paint = document.createElement('canvas');
      this.paint.width = canvas.width;
      this.paint.height = canvas.height;
    }
    $('mask-erase').setAttribute('aria-pressed', 'false');
    this.show();
    $('mask').showModal();
  }

  stroke(event) {
    const canvas = $('mask-canvas');
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    const point = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const context = this.paint.getContext('2d', { willReadFrequently: true });
    context.globalCompositeOperation =
      $('mask-erase').getAttribute('aria-pressed') === 'true' ? 'destination-out' : 'source-over';
    Object.assign(context, { lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff' });
    // A share of the shorter side, independent of the size on the screen.
    context.lineWidth = (Number($('mask-brush').value) / 100) * Math.min(canvas.width, canvas.height);
    context.beginPath();
    context.moveTo(...(this.last ?? point));
    context.lineTo(...point);
    context.stroke();
    this.last = point;
    this.show();
  }

  fill(isOn) {
    const context = this.paint.getContext('2d', { willReadFrequently: true });
    context.globalCompositeOperation = 'source-over';
    context.clearRect(0, 0, this.paint.width, this.paint.height);
    if (isOn) {
      context.fillStyle = '#fff';
      context.fillRect(0, 0, this.paint.width, this.paint.height);
    }
    this.show();
  }

  show() {
    const canvas = $('mask-canvas');
    const context = canvas.getContext('2d');
    context.globalAlpha = 1;
    context.drawImage(this.picture, 0, 0, canvas.width, canvas.height);
    context.globalAlpha = 0.6;
    context.drawImage(this.paint, 0, 0);
  }

  /** The mask of a part of the image as a data URL: white where it changes, black elsewhere. */
  data(x, y, across, down, width, height) {
    const scale = this.paint.width / this.picture.width;
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d');
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
    context.drawImage(this.paint, x * scale, y * scale, across * scale, down * scale, 0, 0, width, height);
    return canvas.toDataURL();
  }
}
