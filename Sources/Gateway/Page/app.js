// Part of Inkstone. Licence: see LICENSE.

import { fetchJob, fetchJobs, fetchModels, fetchRuns, fetchStatus, fetchWords, ServiceError, useKey } from './api.js';
import { Connection } from './connection.js';
import { takePictures } from './drop.js';
import { FieldError, clearFieldErrors, showFieldError, wordFieldErrors } from './fields.js';
import { Forecast } from './forecast.js';
import { Inputs } from './inputs.js';
import { listenToKeys } from './keys.js';
import { duration, language, pick, preferredLanguage, short, t, useLanguage } from './language.js';
import { Loras } from './loras.js';
import { Messages } from './messages.js';
import { picturesOf } from './pictures.js';
import { Queue } from './queue.js';
import { Recall } from './recall.js';
import { Runner } from './runner.js';
import { Settings } from './settings.js';
import { Source } from './source.js';
import { Stage } from './stage.js';
import { ofThisTab, remembered } from './store.js';
import { Tell } from './tell.js';
import { Views } from './views.js';
import { Work } from './work.js';

const $ = (id) => document.getElementById(id);
const themes = ['auto', 'light', 'dark'];
const loadingPollMilliseconds = 1500;
const announceSeconds = 4;
const stripLength = 24;
/** The first view is not slowed down by what comes after it. */
const moreMilliseconds = 1000;

let models = [];
let completion = null;
/** What is loaded after the first view: further fields, and what is done with a picture. */
let more = null;
let moreLoading = null;
let wantsWords = false;
let isResuming = false;
/** What the stage says while no model is loaded. */
let loading = null;

const loras = new Loras(() => settings.changed());
const source = new Source(() => settings.changed());
const settings = new Settings(loras, source, (values) => {
  stage.shape(values);
  forecast.refresh();
});
const forecast = new Forecast(() => (settings.model && settings.isSound ? settings.draft() : null));
const recall = new Recall((text) => settings.setPrompt(text));
const stage = new Stage({
  reuse: (picture) => inputs.reuse(picture), start: (picture) => inputs.startFrom(picture),
  watch: (job) => watch(job), models: () => models, runs: () => runner.runs, shown: () => work.showStage(),
});
const connection = new Connection(() => loadModels());
const messages = new Messages(connection);
const note = (text, undo) => messages.note(text, undo);
const fail = (error) => messages.fail(error);
const announce = (text) => messages.announce(text);
const tell = new Tell({ say: note, freshen: (ids) => stage.freshen(ids) });
const views = new Views({
  open(pictures) {
    views.show('create');
    stage.open(pictures);
    $('frame').scrollIntoView({ block: 'nearest' });
  },
  create: (values) => ready.then(() => inputs.restoreFromAddress(values)),
  picture: (job, index) => ready.then(() => showJob(job, index)).catch(fail),
  removed: (id) => stage.forget(id),
  lost: () => connection.wait(),
  fail,
});

// MARK: Generating

const runner = new Runner({
  begin(run) {
    stage.begin(run, !isResuming && runner.runs.filter(({ isOwn }) => isOwn).length === 1);
    queue.show();
    setBusy();
    if (isResuming) return;
    announce(t(runner.runs.length > 1 ? 'live.queued' : 'live.started'));
    if (stage.run === run && matchMedia('(max-width: 859px)').matches) $('frame').scrollIntoView({ block: 'nearest' });
  },
  event(run, name, data) {
    if (name === 'preview') stage.preview(run, data.image, data.url);
    if (name === 'started' || name === 'queued') queue.show();
    else stage.progress(queue.fromRun(run));
    work.show();
    if (run === stage.run && messages.silence > announceSeconds) announce($('progress-text').textContent);
  },
  reopen: (pictures) => { if (stage.isEmpty) stage.open(pictures); },
  picture(run, picture) {
    stage.add(run, picture);
    if (run.isOwn) settings.noteSeed(picture.seed);
    document.dispatchEvent(new CustomEvent('inkstone:made', { detail: picture }));
  },
  end(run, outcome, error) {
    if (run.pictures.length > 0 && run.isOwn) tell.done(run);
    const hadFocus = $('progress').contains(document.activeElement);
    stage.end(run);
    queue.show();
    queue.poll();
    setBusy();
    if (hadFocus) $('generate').focus();
    forecast.refresh();
    views.refresh();
    if (outcome === 'failed') messages.showError(error);
    else if (outcome === 'cancelled' && run.isOwn) note(t('live.cancelled'));
    else if (run.isOwn) announce(t('live.done'));
  },
}, connection);

const queue = new Queue(runner, {
  cancel(job) {
    const run = job.run ?? runner.watch(job.job);
    runner.cancel(run);
  },
  watch,
  changed(jobs) {
    stage.useJobs(jobs.filter(({ isWaiting }) => !isWaiting));
    for (const { id } of jobs) if (runner.find(id)?.isOwn) tell.note(id);
  },
});

const work = new Work({ stage, runner, tell, announce });
const inputs = new Inputs({
  settings, source, views, messages, note, fail, useModel, models: () => models,
  loadMore, offer: (file, wish) => more.take(file, wish),
});

/** Shows a job of the queue as it is drawn. */
function watch(job) {
  const run = job.run ?? runner.watch(job.job);
  runner.hurry(run);
  views.show('create');
  stage.watch(run);
}

/** Sends the form's request, with some of its fields replaced. */
async function run(overrides = {}) {
  if (models.length === 0) return undefined;
  let requests;
  try {
    await loadMore();
    requests = more.expand({ ...settings.request(), ...overrides });
  } catch (error) {
    if (!(error instanceof FieldError)) return fail(error);
    showFieldError(error, () => messages.showError(null));
    messages.showError(error);
    return undefined;
  }
  clearFieldErrors();
  messages.showError(null);
  messages.clearNote();
  recall.note($('prompt').value.trim());
  return Promise.all(requests.map((request) => submit(request).catch(() => {})));
}

/** Sends a request; resolves with its job. */
function submit(request) {
  return runner.submit(request);
}

/** Shows what depends on whether something is in work. */
function setBusy() {
  const isLoading = models.length === 0;
  $('generate').disabled = isLoading;
  const key = runner.isBusy ? 'generate.queue' : 'generate';
  $('generate-text').textContent = t(isLoading ? 'generate.loading' : key);
  $('empty-text').textContent = isLoading && loading ? t('loading.model', loading) : t('empty');
  $('about').textContent = pick(settings.model?.summary) ?? '';
  $('create').dataset.jobs = runner.runs.filter(({ isOwn }) => isOwn).length;
  work.show();
}

/** Shows a picture of an address such as `#picture/JOB/0`; without a number, all of the job. */
async function showJob(id, index) {
  if (stage.address === [id, index].filter((part) => part !== undefined).join('/')) return;
  const job = await fetchJob(id);
  const pictures = picturesOf(job);
  const picture = pictures.find((one) => one.id === `${id}/${index}`);
  stage.open(pictures);
  if (picture && pictures.length > 1) stage.choose(picture);
}

// MARK: Models, language and colours

async function loadModels() {
  for (;;) {
    try {
      models = await fetchModels();
      if (messages.error) messages.showError(null);
      $('key-box').hidden = true;
    } catch (error) {
      if (error instanceof ServiceError && error.isLoss) return connection.wait();
      messages.showError(error);
      // Useless retries would fill the server's log.
      if (!$('key-box').hidden) return undefined;
    }
    if (models.length > 0) break;
    await noteLoading();
    await new Promise((resume) => { setTimeout(resume, loadingPollMilliseconds); });
  }
  $('model-box').hidden = models.length < 2;
  $('model').replaceChildren(...models.map((model) => new Option(model.name, model.id)));
  const wanted = settings.model?.id ?? settings.load().model;
  useModel(models.find((model) => model.id === wanted) ?? models[0]);
  setBusy();
  queue.poll();
  await Promise.allSettled([loras.load(), loadRecent(), loadRuns()]);
  setTimeout(hurryMore, moreMilliseconds);
  return undefined;
}

/** Says which model is loading, and for how long. */
async function noteLoading() {
  const status = await fetchStatus().catch(() => null);
  const name = status?.models.map((model) => model.name).join(', ') || t('model.label');
  loading = { name, time: duration(status?.uptime_seconds ?? 0) };
  setBusy();
}

async function loadRecent() {
  const { data } = await fetchJobs({ state: 'succeeded', limit: stripLength });
  const pictures = data.flatMap(picturesOf);
  stage.remember(pictures, true);
  if (pictures.length > 0 && settings.lastSeed === null) settings.noteSeed(pictures[0].seed);
  tell.welcome(pictures);
}

/** Loads further fields and what is done with a picture: after the first view, or when something needs them. */
function loadMore() {
  moreLoading ??= startMore().catch((error) => {
    moreLoading = null;
    throw error;
  });
  return moreLoading;
}

/** Loads them early; who cannot do without them loads them again. */
const hurryMore = () => { if (models.length > 0) loadMore().catch(() => {}); };

async function startMore() {
  const { More } = await import('./more.js');
  more = await More.load({
    settings, stage, source, loras, runner, views, recall, note, fail, announce, messages,
    restore: (parameters) => inputs.restore(parameters), startFrom: (picture) => inputs.startFrom(picture),
    run, submit, queue, models: () => models,
  });
  more.useModel(settings.model);
}

async function loadRuns() {
  views.useRuns(await fetchRuns());
}

function useModel(model) {
  $('model').value = model.id;
  settings.useModel(model);
  wordModel();
  more?.useModel(model);
  useWords(null);
  loadWords();
}

/** Loads the words of the model, once the prompt field has had the focus. */
async function loadWords() {
  const { model } = settings;
  if (!wantsWords || !model) return;
  let parts;
  try {
    parts = await Promise.all([import('./completion.js'), import('./words.js'), fetchWords(model.id)]);
  } catch {
    wantsWords = false;
    return;
  }
  const [{ Completion }, { Vocabulary }, lists] = parts;
  completion ??= new Completion(announce);
  const vocabulary = new Vocabulary(lists, model.examples);
  if (model === settings.model && !vocabulary.isEmpty) useWords(vocabulary);
}

function useWords(vocabulary) {
  completion?.useVocabulary(vocabulary);
  forecast.useVocabulary(vocabulary);
}

function wordModel() {
  const { model } = settings;
  if (!model) return;
  const size = t('model.parameters', { count: short(model.parameterCount) });
  $('model-line').textContent = [model.name, size, model.precision, model.kernels].filter(Boolean).join(' · ');
  $('model-line').title = [pick(model.summary), model.license].filter(Boolean).join(' ');
}

async function changeLanguage(name) {
  await useLanguage(name);
  if (settings.model) settings.wordChoices();
  messages.word();
  wordFieldErrors();
  setBusy();
  work.wordCancel();
  queue.show();
  wordModel();
  stage.word();
  loras.list();
  forecast.word();
  more?.word();
  connection.word();
  views.word();
  showTheme();
}

const theme = () => document.documentElement.dataset.theme ?? 'auto';

function useTheme(name) {
  document.documentElement.dataset.theme = name;
  remembered.set('theme', name);
  showTheme();
}

function showTheme() {
  $('theme').setAttribute('aria-label', t(`theme.${theme()}`));
  $('theme').title = t(`theme.${theme()}`);
}

// MARK: Start

// On a phone the button is above the examples.
$('examples-box').open = !matchMedia('(max-width: 619px)').matches;

$('form').addEventListener('submit', (event) => { event.preventDefault(); run(); });
$('form').addEventListener('input', () => messages.clearNote());
$('prompt').addEventListener('focus', () => {
  if (wantsWords) return;
  wantsWords = true;
  loadWords();
});
// Who types has an idea of their own.
$('prompt').addEventListener('input', ({ target }) => { if (!target.dataset.isReplaced) $('examples-box').open = false; });
$('model').addEventListener('change', () => useModel(models.find((model) => model.id === $('model').value)));
$('language').addEventListener('click', () => {
  const other = language === 'en' ? 'zh' : 'en';
  // Only a choice is stored; without one the browser's language is used.
  remembered.set('language', other);
  changeLanguage(other);
});
$('theme').addEventListener('click', () => useTheme(themes[(themes.indexOf(theme()) + 1) % themes.length]));
listenToKeys({ views, stage, run, cancel: () => work.cancel() });
takePictures((file, wish) => inputs.takeFile(file, wish).catch(fail));

for (const sign of ['pointerdown', 'keydown', 'focusin', 'dragenter']) addEventListener(sign, hurryMore, { once: true });
document.addEventListener('inkstone:shown', () => {
  hurryMore();
  // After a reload the stage shows the same.
  ofThisTab.set('shown', stage.address ?? '');
  if (views.current === 'create') history.replaceState(null, '', stage.address ? `#picture/${stage.address}` : '#create');
});

$('key').addEventListener('change', () => {
  useKey($('key').value);
  remembered.set('key', $('key').value);
  loadModels().then(() => resume());
});
$('key').value = remembered.get('key') ?? '';
useKey($('key').value);

/** What the tab had before it was loaded again: the picture on the stage, jobs, and the picture to start from. */
async function resume() {
  isResuming = true;
  const shown = ofThisTab.get('shown');
  if (shown && stage.isEmpty) await showJob(...shown.split('/')).catch(() => {});
  await Promise.all([runner.resume(), source.recover()]);
  isResuming = false;
}

let isReady = null;
const ready = new Promise((resolve) => { isReady = resolve; });
const storedTheme = remembered.get('theme');
useTheme(themes.includes(storedTheme) ? storedTheme : 'auto');
const storedLanguage = remembered.get('language');
await changeLanguage(['en', 'zh'].includes(storedLanguage) ? storedLanguage : preferredLanguage());
views.start();
await loadModels();
isReady();
await resume();
