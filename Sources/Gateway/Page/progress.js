// Part of Inkstone. Licence: see LICENSE.

/** Progress, pace and remaining time of a request. */
export class Progress {
  /** `now` returns seconds; it is a parameter so that time can be simulated. */
  constructor(images, steps, now = () => performance.now() / 1000) {
    this.images = images;
    this.steps = steps;
    this.now = now;
    this.image = 0;
    this.step = 0;
    this.finished = 0;
    this.pace = null;
    this.stepOf = [];
    this.first = null;
  }

  /** Records a step and its seconds; the steps of several images may alternate. */
  noteStep({ image, step, steps, seconds }) {
    this.steps = steps;
    this.stepOf[image] = step;
    this.image = image;
    this.step = step;
    this.pace = seconds;
    this.first ??= { at: this.now() - seconds, done: this.done - 1 };
  }

  /** Records a finished image. */
  noteImage() {
    this.finished += 1;
  }

  /** Whether previews of `image` are shown: those of the first unfinished image. */
  isInFront(image) {
    return image === this.finished;
  }

  /** Steps done, over all images. */
  get done() {
    return this.stepOf.reduce((sum, step) => sum + (step ?? 0), 0);
  }

  /** Whether all steps of an image are done, but the image has not arrived yet. */
  get isDecoding() {
    const begun = this.stepOf.filter((step) => step > 0).length;
    return this.stepOf.every((step) => step === this.steps) && this.finished < begun;
  }

  /** Share of the work that is done, from 0 to 1. */
  get share() {
    return Math.min(1, this.done / (this.images * this.steps));
  }

  /** Seconds left, or null before the first step. */
  get secondsLeft() {
    if (this.first === null) return null;
    const left = this.images * this.steps - this.done;
    const perStep = (this.now() - this.first.at) / Math.max(1, this.done - this.first.done);
    return left * perStep;
  }
}
