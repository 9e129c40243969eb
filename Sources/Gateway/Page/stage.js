// Part of Inkstone. Licence: see LICENSE.

import { address, fetchBlob, showPicture } from './api.js';
import { Compare } from './compare.js';
import { copyText } from './clipboard.js';
import { factsOf, fileName } from './facts.js';
import { t } from './language.js';
import { textOf } from './pictures.js';
import { Sheet } from './sheet.js';
import { Strip } from './strip.js';

const $ = (id) => document.getElementById(id);
const stripLength = 24;
const scales = [1, 2, 4];

/** The stage: a picture with its tools, a job as it is drawn, or the images of a request. */
export class Stage {
  /** `actions` are `reuse(picture)`, `start(picture)`, `watch(job)`, `models()`, `runs()` and `shown()`. */
  constructor(actions) {
    this.actions = actions;
    this.pictures = [];
    /** The images of the request that is shown. */
    this.group = [];
    this.shown = null;
    /** The run that is shown as it is drawn. */
    this.run = null;
    /** Whether the stage goes on to the next job; not after something else was chosen. */
    this.isFollowing = true;
    this.jobs = [];
    this.scale = 'fit';
    this.compare = new Compare(actions.models);
    this.sheet = new Sheet((index) => this.openInSheet(index));
    this.strip = new Strip({
      open: (picture) => this.choose(picture),
      watch: (job) => job && actions.watch(job),
    });
    $('copy').addEventListener('click', () => this.copy($('copy'), 'copy', () => textOf(this.shown)));
    $('link').addEventListener('click', () => this.copy($('link'), 'link', async () => location.href));
    $('said-copy').addEventListener('click', () => this.copy(null, null, async () => this.said));
    $('download').addEventListener('click', (event) => this.download(event));
    $('reuse').addEventListener('click', () => this.shown && actions.reuse(this.shown));
    $('start').addEventListener('click', () => this.shown && actions.start(this.shown));
    $('compare').addEventListener('click', () => this.toggleCompare());
    $('back').addEventListener('click', () => {
      const run = actions.runs().find(({ pictures }) => pictures === this.group);
      if (run) this.watch(run);
      else this.showSheet();
    });
    $('pixels').addEventListener('click', () => {
      const isOn = $('frame').classList.toggle('is-hard');
      $('pixels').setAttribute('aria-pressed', String(isOn));
    });
    for (const button of $('scales').children) {
      button.addEventListener('click', () => this.useScale(button.dataset.scale));
    }
    new ResizeObserver(() => this.fitScales()).observe($('frame').parentElement);
  }

  /** Sets the aspect ratio of the empty frame. */
  shape({ width, height }) {
    if (this.shown || this.run || this.group.length > 0 || !(width >= 16 && height >= 16)) return;
    this.frame(width, height);
  }

  frame(width, height) {
    $('frame').style.setProperty('--ratio', `${Math.min(4, Math.max(0.25, width / height))}`);
  }

  /** A job of this tab begins; it is shown unless the user looks at something else meanwhile. */
  begin(run, isOnly) {
    if (isOnly) this.isFollowing = true;
    if (this.isFollowing && !this.run) this.showRun(run);
  }

  /** Shows a job as it is drawn. */
  watch(run) {
    this.isFollowing = true;
    if (this.run !== run) this.showRun(run);
  }

  showRun(run) {
    const { width, height, seed, count } = run.request;
    this.run = run;
    this.shown = null;
    this.group = run.pictures;
    this.compare.end();
    this.useScale('fit');
    this.sheet.begin(seed, count);
    this.frameGroup(width, height, count);
    $('picture').removeAttribute('src');
    $('picture').dataset.path = '';
    this.look(count > 1 ? 'sheet' : 'wait');
    run.previews.forEach((url, index) => this.preview(run, index, url));
    for (const picture of run.pictures) this.sheet.picture(this.sheet.seeds.indexOf(picture.seed), picture);
    this.word();
    this.mark();
  }

  frameGroup(width, height, count) {
    const shape = this.sheet.shape(width, height);
    if (count > 1) this.frame(shape.width, shape.height);
    else this.frame(width, height);
  }

  /** The content of the frame: `empty`, `wait`, `picture` or `sheet`. */
  look(name) {
    $('empty').hidden = name !== 'empty';
    $('wait').hidden = name !== 'wait';
    $('plate').hidden = name !== 'picture';
    $('sheet').hidden = name !== 'sheet';
    const hasResult = name === 'picture' && this.shown !== null;
    $('result').hidden = !hasResult;
    $('sheet-tools').hidden = name !== 'sheet' || this.run !== null;
    $('back').hidden = !hasResult || this.group.length < 2;
    this.actions.shown();
  }

  /** Shows a preview, which is small and therefore blurred, less with every step. */
  async preview(run, index, url) {
    if (run !== this.run) {
      if (this.isFollowing && !this.run && run.isOwn) this.showRun(run);
      return;
    }
    this.sheet.preview(index, url);
    if (run.request.count > 1) return;
    const picture = $('picture');
    picture.src = url;
    await picture.decode().catch(() => {});
    if (picture.src !== url || this.run !== run) return;
    const pixel = $('frame').clientWidth / Math.max(1, picture.naturalWidth);
    picture.style.setProperty('--haze', `${(0.55 - 0.3 * run.progress.share) * pixel}px`);
    picture.alt = t('preview.alt');
    picture.className = 'is-preview';
    this.look('picture');
  }

  /** Adds a finished image. */
  add(run, picture) {
    this.remember([picture]);
    if (run === this.run) this.sheet.picture(this.sheet.seeds.indexOf(picture.seed), picture);
  }

  /** A job has ended: its result stays on the stage if the job was shown. */
  end(run) {
    if (run !== this.run) {
      this.list();
      return;
    }
    this.run = null;
    this.group = run.pictures;
    if (this.group.length > 1) this.showSheet();
    else if (this.group.length === 1) this.show(this.group[0]);
    else if (this.pictures.length > 0) this.show(this.pictures[0]);
    else this.empty();
  }

  empty() {
    this.shown = null;
    this.group = [];
    this.look('empty');
    this.word();
    this.mark();
  }

  /** Jobs that run, for the tiles in the strip. */
  useJobs(jobs) {
    this.jobs = jobs;
    this.list();
  }

  /** One of them has come further. */
  progress(job) {
    this.jobs = this.jobs.map((one) => (one.id === job.id ? job : one));
    this.strip.progress(job);
  }

  /** Marks pictures in the strip as new. */
  freshen(ids) {
    for (const id of ids) this.strip.fresh.add(id);
    this.strip.mark(this.current);
  }

  get isEmpty() { return !this.shown && !this.run && this.group.length === 0; }

  /** What is shown, as a part of the page's address: a job, and one of its pictures; null for anything else. */
  get address() {
    if (this.run) return null;
    return this.shown?.id ?? this.group[0]?.job.id ?? null;
  }

  /** Inserts images at the start of the strip. */
  remember(pictures, atEnd = false) {
    const ids = new Set(pictures.map(({ id }) => id));
    const others = this.pictures.filter(({ id }) => !ids.has(id));
    this.pictures = (atEnd ? [...others, ...pictures] : [...pictures, ...others]).slice(0, stripLength);
    this.list();
  }

  /** Removes a job and its images. */
  forget(job) {
    this.pictures = this.pictures.filter((picture) => picture.job.id !== job);
    this.list();
    if (![this.shown, ...this.group].some((picture) => picture?.job.id === job)) return;
    this.compare.end();
    if (this.pictures.length > 0) this.show(this.pictures[0]);
    else this.empty();
  }

  /** Shows the images of a job: a single one, or all in a sheet. */
  open(pictures) {
    if (pictures.length === 0) return;
    this.leaveRun();
    this.group = pictures;
    const [{ width, height, seed }] = pictures;
    this.sheet.begin(seed, pictures.length);
    this.frameGroup(width, height, pictures.length);
    pictures.forEach((picture, index) => this.sheet.picture(index, picture));
    if (pictures.length === 1) this.show(pictures[0]);
    else this.showSheet();
  }

  /** Shows a picture that was chosen, whatever is drawn meanwhile. */
  choose(picture) {
    this.leaveRun();
    return this.show(picture);
  }

  openInSheet(index) {
    const picture = this.group.find(({ seed }) => seed === this.sheet.seeds[index]);
    if (picture) this.choose(picture);
  }

  leaveRun() {
    this.run = null;
    this.isFollowing = false;
  }

  showSheet() {
    this.shown = null;
    this.compare.end();
    const [{ width, height }] = this.group;
    this.frameGroup(width, height, this.group.length);
    this.useScale('fit');
    this.look('sheet');
    this.word();
    this.mark();
  }

  async show(picture) {
    if (this.compare.isOn && picture !== this.shown) {
      await this.compare.use(picture, this.shown);
      return;
    }
    if (!this.group.includes(picture)) this.group = [picture];
    this.shown = picture;
    const image = $('picture');
    image.alt = picture.job.prompt;
    image.className = '';
    this.frame(picture.width, picture.height);
    $('download').href = address(picture.path);
    $('download').download = `${fileName(picture)}.png`;
    this.look('picture');
    this.useScale(this.scale);
    this.word();
    this.mark();
    await showPicture(image, picture.path);
  }

  /** The source of the shown image, else the image before it in the strip. */
  get rival() {
    if (!this.shown) return null;
    const { job } = this.shown;
    if (job.strength) return { path: `api/jobs/${job.id}/source` };
    const at = this.pictures.findIndex(({ id }) => id === this.shown.id);
    return this.pictures[at + 1] ?? this.pictures[at - 1] ?? null;
  }

  toggleCompare() {
    if (this.compare.isOn) this.compare.end();
    else if (this.rival) this.compare.use(this.rival, this.shown);
  }

  /** The prompt of what is shown. */
  get said() {
    return (this.shown ?? this.group[0])?.job.prompt ?? this.run?.request.prompt ?? '';
  }

  /** Translates the texts that depend on the language. */
  word() {
    const { run } = this;
    const picture = this.shown ?? (run ? null : this.group[0]);
    const subject = picture ?? (run && { ...run.request, job: run.request });
    $('said').hidden = !subject;
    $('said-text').textContent = this.said;
    $('said-text').title = this.said;
    $('facts').hidden = !subject;
    const models = this.actions.models();
    // A sheet has several seeds and times, which stand in it.
    const facts = subject ? factsOf(this.shown || run ? subject : { ...subject, seed: undefined, seconds: undefined }, models) : [];
    $('facts').replaceChildren(...facts.map((text) => Object.assign(document.createElement('li'), { textContent: text })));
    $('truncated').hidden = !picture?.isTruncated;
    $('compare').hidden = !this.rival;
    this.compare.word();
    this.sheet.word();
    this.strip.word();
  }

  list() {
    this.strip.show(this.jobs, this.pictures, this.current);
    $('compare').hidden = !this.rival;
  }

  /** The id of the picture or job on the stage. */
  get current() { return this.shown?.id ?? this.run?.id; }

  mark() {
    if (this.shown) this.strip.fresh.delete(this.shown.id);
    this.strip.mark(this.current);
    document.dispatchEvent(new CustomEvent('inkstone:shown', { detail: this.shown }));
  }

  useScale(scale) {
    this.scale = scale;
    for (const button of $('scales').children) {
      button.setAttribute('aria-pressed', String(button.dataset.scale === scale));
    }
    const isScaled = scale !== 'fit' && this.shown !== null;
    $('frame').classList.toggle('is-scaled', isScaled);
    const size = ['width', 'height'].map((side) => (isScaled ? `${this.shown[side] * Number(scale)}px` : ''));
    [$('plate').style.width, $('plate').style.height] = size;
    this.fitScales();
  }

  /** Offers the scales at which a picture is not larger than it is useful. */
  fitScales() {
    if (!this.shown) return;
    const { width, height } = $('frame').parentElement.getBoundingClientRect();
    scales.forEach((scale, index) => {
      const isUseful = scale === 1 || (this.shown.width * scale <= 2 * width && this.shown.height * scale <= 2 * height);
      $('scales').children[index + 1].hidden = !isUseful && this.scale !== String(scale);
    });
  }

  /** A link cannot send a key: with a key, the page fetches the file. */
  async download(event) {
    if ($('picture').src.startsWith('http')) return;
    event.preventDefault();
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await fetchBlob(this.shown.path));
    link.download = $('download').download;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  /** Copies a text, and says so on a button or aloud. */
  async copy(button, key, text) {
    const isCopied = await text().then(copyText).catch(() => false);
    const word = t(isCopied ? 'copied' : 'error.copy');
    $('live').textContent = word;
    if (!button) return;
    button.textContent = word;
    setTimeout(() => { button.textContent = t(key); }, isCopied ? 1500 : 5000);
  }
}
