// Part of Inkstone. Licence: see LICENSE.

import { fetchBlob, starImage } from './api.js';
import { icon, make, word } from './dom.js';
import { t } from './language.js';
import { requestOf } from './pictures.js';
import { randomSeed } from './seeds.js';

const subtleStrength = 0.35;
const upscaleStrength = 0.35;
const mostVariations = 4;

const paths = {
  full: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  star: 'M12 4l2.5 5.1 5.6.8-4 4 .9 5.6-5-2.6-5 2.6.9-5.6-4-4 5.6-.8z',
  details: 'M12 11v6M12 7.5v.1M12 3a9 9 0 1 0 0 18 9 9 0 1 0 0-18z',
  more: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  subtle: 'M3 9c3-4 6-4 9 0s6 4 9 0M3 16c3-4 6-4 9 0s6 4 9 0',
  upscale: 'M4 13v7h7M20 11V4h-7M20 4L4 20',
};

const dataOf = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.addEventListener('load', () => resolve(reader.result));
  reader.addEventListener('error', () => reject(reader.error));
  reader.readAsDataURL(blob);
});

/** Sets a picture's star on the server, and in what the page knows of its job. */
export async function star(picture, isStarred) {
  await starImage(picture.job.id, Number(picture.id.split('/')[1]), isStarred);
  picture.isStarred = isStarred;
  const image = picture.job.images?.find(({ index }) => index === Number(picture.id.split('/')[1]));
  if (image) image.starred = isStarred;
  document.dispatchEvent(new CustomEvent('inkstone:starred', { detail: picture }));
}

/** What is done with the picture on the stage. */
export class Actions {
  constructor(page, slot) {
    this.page = page;
    this.shown = null;
    const act = (i18n, work, path) => {
      const item = make('button', { type: 'button', className: 'secondary', on: { click: () => this.act(item, work) } },
        path ? icon(path) : null, make('span', { i18n }));
      return item;
    };
    this.full = act('action.full', () => this.openViewer(), paths.full);
    this.star = act('action.star', () => star(this.shown, !this.shown.isStarred), paths.star);
    this.star.classList.add('toggle-button');
    this.star.id = 'star';
    this.details = act('action.details', () => this.openDetails(), paths.details);
    this.details.id = 'details';
    this.full.id = 'full-screen';
    this.more = act('action.more', () => (this.obstacle ? page.note(t(this.obstacle)) : this.vary()), paths.more);
    this.more.id = 'vary';
    this.subtle = act('action.subtle', () => this.varySubtly(), paths.subtle);
    this.subtle.id = 'vary-subtly';
    this.upscale = act('action.upscale', () => this.enlarge(), paths.upscale);
    this.upscale.id = 'upscale';
    slot.append(this.full, this.star, this.details, this.more, this.subtle, this.upscale);
    document.addEventListener('inkstone:shown', ({ detail }) => this.show(detail));
    document.addEventListener('inkstone:starred', ({ detail }) => {
      for (const picture of page.stage.pictures) if (picture.id === detail.id) picture.isStarred = detail.isStarred;
      if (this.shown?.id === detail.id) {
        this.shown.isStarred = detail.isStarred;
        this.show(this.shown);
      }
    });
    document.addEventListener('keydown', (event) => this.press(event));
    document.getElementById('picture').addEventListener('click', () => { if (this.shown && !page.stage.compare.isOn) this.openViewer(); });
    this.show(page.stage.shown);
  }

  /** Runs an action; the button keeps the focus, and does nothing before it is done. */
  async act(item, work) {
    if (!this.shown || item.ariaBusy === 'true') return;
    item.ariaBusy = 'true';
    try {
      await work();
    } catch (error) {
      this.page.fail(error);
    } finally {
      item.ariaBusy = 'false';
    }
  }

  show(picture) {
    this.shown = picture;
    if (!picture) return;
    this.star.setAttribute('aria-pressed', String(picture.isStarred));
    word(this.star.lastElementChild, picture.isStarred ? 'action.starred' : 'action.star');
    const { limits } = this.modelOf(picture) ?? {};
    const isTooLarge = limits && (2 * picture.width > limits.maximumWidth || 2 * picture.height > limits.maximumHeight);
    this.upscale.hidden = Boolean(isTooLarge) || !limits;
    this.more.hidden = !limits;
    this.subtle.hidden = !limits;
    this.more.setAttribute('aria-disabled', String(Boolean(this.obstacle)));
    this.word();
  }

  /** The text that says why there cannot be more pictures like the one shown: the service hands out neither maps nor masks. */
  get obstacle() {
    const { controls, masked } = this.shown?.job ?? {};
    if (controls?.length > 0) return 'action.more.control';
    return masked ? 'action.more.mask' : null;
  }

  word() { this.more.title = this.obstacle ? t(this.obstacle) : ''; }

  modelOf({ job }) {
    return this.page.models().find(({ id }) => id === job.model);
  }

  press(event) {
    const isField = event.target.matches?.('input, textarea, select, [contenteditable]');
    if (!this.shown || isField || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector('dialog[open]') || document.getElementById('create').hidden) return;
    const work = { f: () => this.full.click(), s: () => this.star.click(), i: () => this.details.click() }[event.key.toLowerCase()];
    if (!work) return;
    event.preventDefault();
    work();
  }

  async openViewer() {
    const { Viewer } = await import('./viewer.js');
    this.viewer ??= new Viewer(this.page);
    const { group, pictures } = this.page.stage;
    this.viewer.open(this.shown, group.length > 1 ? group : pictures);
  }

  async openDetails() {
    const { Details } = await import('./details.js');
    Details.of(this.page).showPicture(this.shown);
  }

  get count() {
    return Math.max(1, Math.min(mostVariations, this.modelOf(this.shown)?.limits.maximumCount ?? 1));
  }

  /** More pictures of the same request with other seeds. */
  async vary() {
    const request = { ...requestOf(this.shown), seed: randomSeed(), count: this.count };
    const { job } = this.shown;
    if (job.strength) {
      request.image = await dataOf(await fetchBlob(`api/jobs/${job.id}/source`));
      request.strength = job.strength;
    }
    this.submit(request, 'action.more.note');
  }

  /** Pictures that begin with this one and change it a little. */
  async varySubtly() {
    const { hires, ...request } = requestOf(this.shown);
    const { width, height } = this.shown;
    Object.assign(request, {
      width, height, seed: randomSeed(), count: this.count, strength: subtleStrength,
      image: await dataOf(await fetchBlob(this.shown.path)),
      // So few steps and so little change would leave nothing to do.
      steps: Math.max(request.steps, Math.ceil(2 / subtleStrength)),
    });
    this.submit(request, 'action.subtle.note');
  }

  /** The same picture, twice as large: by a second pass, or, where it began with a picture, from itself. */
  async enlarge() {
    const request = requestOf(this.shown);
    const { job, width, height } = this.shown;
    const size = { width: 2 * width, height: 2 * height };
    if (job.strength || job.hires || job.controls?.length > 0) {
      delete request.hires;
      Object.assign(request, size, {
        image: await dataOf(await fetchBlob(this.shown.path)), strength: upscaleStrength,
        steps: Math.max(request.steps, Math.ceil(2 / upscaleStrength)),
      });
    } else {
      request.hires = { ...size, upscaler: 'lanczos', strength: upscaleStrength };
    }
    this.submit(request, 'action.upscale.note');
  }

  submit(request, i18n) {
    // A refusal is said where every other is.
    this.page.submit(request).catch(() => {});
    this.page.note(t(i18n));
  }

  useModel() { this.show(this.shown); }
}
