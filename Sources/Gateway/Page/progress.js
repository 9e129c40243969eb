// Part of Inkstone. Licence: see LICENSE.

/** How far a request is, how fast it goes and how long it will take. */
export class Progress {
  /** `now` gives seconds; it is a parameter so that time can be simulated. */
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

  /** Notes a step and the seconds that it took; pictures may take turns. */
  noteStep({ image, step, steps, seconds }) {
    this.steps = steps;
    this.stepOf[image] = step;
    this.image = image;
    this.step = step;
    this.pace = seconds;
    this.first ??= { at: this.now() - seconds, done: this.done - 1 };
  }

  /** Notes a finished picture. */
  noteImage() {
    this.finished += 1;
  }

  /** Whether `image` is the one to show previews of: the first that is not finished. */
  isInFront(image) {
    return image === this.finished;
  }

  /** Steps done, over all pictures. */
  get done() {
    return this.stepOf.reduce((sum, step) => sum + (step ?? 0), 0);
  }

  /** Whether all steps so far are done, but a picture of them is not there yet. */
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
