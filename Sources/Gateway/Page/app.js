// Part of Inkstone. Licence: see LICENSE.

import { fetchBlob, fetchJobs, fetchModels, fetchRuns, fetchWords, ServiceError, useKey } from './api.js';
import { Connection } from './connection.js';
import { takePictures } from './drop.js';
import { Forecast } from './forecast.js';
import { duration, language, pick, preferredLanguage, short, t, useLanguage } from './language.js';
import { Loras } from './loras.js';
import { parametersIn, parametersOf, picturesOf } from './pictures.js';
import { Recall } from './recall.js';
import { Runner } from './runner.js';
import { FieldError, Settings } from './settings.js';
import { Source } from './source.js';
import { Stage } from './stage.js';
import { remembered } from './store.js';
import { Views } from './views.js';

const $ = (id) => document.getElementById(id);
const themes = ['auto', 'light', 'dark'];
const loadingPollMilliseconds = 1500;
const announceMilliseconds = 4000;
const stripLength = 24;

let models = [];
let lastAnnounced = 0;
let completion = null;
/** What is loaded after the first view: further fields, and what is done with a picture. */
let more = null;
let wantsWords = false;

const loras = new Loras(() => settings.changed());
const source = new Source(() => settings.changed());
const settings = new Settings(loras, source, (values) => {
  stage.shape(values);
  forecast.refresh();
});
const forecast = new Forecast(() => settings.model && settings.draft());
const recall = new Recall((text) => settings.setPrompt(text));
const stage = new Stage({ reuse, start: startFrom });
const connection = new Connection(() => loadModels());
const views = new Views({
  open(pictures) {
    views.show('create');
    stage.open(pictures);
    $('frame').scrollIntoView({ block: 'nearest' });
  },
  removed: (id) => stage.forget(id),
  lost: () => connection.wait(),
  fail: (error) => fail(error),
});

// MARK: Generating

const runner = new Runner({
  begin(request, progress) {
    setRunning();
    stage.begin(request);
    showProgress(progress, t('progress.sending'));
    announce(t('live.started'));
    if (matchMedia('(max-width: 859px)').matches) $('frame').scrollIntoView({ block: 'nearest' });
  },
  event(name, data, progress) {
    if (name === 'queued') {
      showProgress(progress, data.position > 0 ? t('progress.queued', { count: data.position }) : t('progress.next'));
    } else if (name === 'started') {
      showProgress(progress, t('progress.started'));
    } else if (name === 'preview') {
      stage.preview(data.image, data.url, data.step / progress.steps);
    } else {
      showProgress(progress);
      if (performance.now() - lastAnnounced > announceMilliseconds) announce($('progress-text').textContent);
    }
  },
  reopen: (pictures) => stage.open(pictures),
  picture(picture) {
    stage.add(picture);
    settings.noteSeed(picture.seed);
  },
  end(outcome, error) {
    stage.end();
    setRunning();
    forecast.refresh();
    views.refresh();
    if (outcome === 'failed') showError(wordError(error));
    else announce(t(outcome === 'done' ? 'live.done' : 'live.cancelled'));
  },
}, connection);

/** Sends the form's request, with some of its fields replaced. */
function run(overrides = {}) {
  if (runner.isBusy || models.length === 0) return;
  let requests;
  try {
    const request = { ...settings.request(), ...overrides };
    requests = more?.expand(request) ?? [request];
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    showError(error.message);
    error.element.focus();
    return;
  }
  showError(null);
  recall.note($('prompt').value.trim());
  for (const request of requests) runner.run(request);
}

function setRunning() {
  const { isBusy } = runner;
  $('generate').disabled = isBusy || models.length === 0;
  $('cancel').hidden = !isBusy;
  $('progress').hidden = !isBusy;
  $('frame').setAttribute('aria-busy', String(isBusy));
  if (!isBusy) document.title = 'Inkstone';
}

function showProgress(progress, text) {
  const { image, images, step, steps, pace, secondsLeft } = progress;
  const bar = $('bar');
  if (text) bar.removeAttribute('value');
  else bar.value = progress.share;
  document.title = text ? 'Inkstone' : `${Math.round(progress.share * 100)} % · Inkstone`;
  const key = images > 1 ? 'progress.image' : 'progress.step';
  $('progress-text').textContent = text
    ?? (progress.isDecoding ? t('progress.decoding') : t(key, { image: image + 1, images, step, steps }));
  const parts = [];
  if (pace !== null) parts.push(t('progress.pace', { pace: pace.toFixed(pace < 10 ? 2 : 0) }));
  if (secondsLeft > 0) parts.push(t('progress.left', { time: duration(secondsLeft) }));
  $('progress-time').textContent = parts.join(' · ');
}

// MARK: Images as input

async function restore(parameters) {
  const model = models.find(({ id }) => id === parameters.model);
  if (model && model !== settings.model) useModel(model);
  const missing = settings.reuse(parameters);
  if (parameters.source) await source.choose(await fetchBlob(parameters.source), parameters.strength);
  else source.remove();
  const notes = [];
  if (!parameters.source && parameters.strength) notes.push(t('restore.source', { strength: parameters.strength }));
  if (parameters.model && !model) notes.push(t('restore.model', { model: parameters.model }));
  if (missing.length > 0) notes.push(t('restore.loras', { names: missing.join(', ') }));
  views.show('create');
  note([t('restored'), ...notes].join(' '));
}

async function reuse(picture) {
  await restore(parametersOf(picture)).catch(fail);
  $('prompt').focus();
}

async function startFrom(picture) {
  try {
    if (!await source.choose(await fetchBlob(picture.path))) return;
    settings.setSize(picture);
    $('prompt').focus();
    note(t('source.taken'));
  } catch (error) {
    fail(error);
  }
}

async function takeFile(file, wish) {
  if (more?.take(file, wish)) return;
  const parameters = wish === 'source' ? null : await parametersIn(file).catch(() => null);
  if (parameters) {
    await restore(parameters).catch(fail);
  } else if (wish === 'restore') {
    note(t('restore.none'));
  } else if (await source.choose(file)) {
    views.show('create');
    settings.setShape(source.picture.width, source.picture.height);
    note(t('source.taken'));
  } else {
    showError(t('source.bad'));
  }
}

// MARK: Messages

function wordError(error) {
  if (!(error instanceof ServiceError)) return String(error);
  if (error.code === 'missing_api_key' || error.code === 'invalid_api_key') $('key-box').hidden = false;
  const key = `error.${error.code}`;
  const text = t(key, { seconds: error.retryAfter });
  return text === key ? error.message : text;
}

function fail(error) {
  if (error instanceof ServiceError && error.isLoss) connection.wait();
  else showError(wordError(error));
}

function showError(message) {
  $('error').hidden = !message;
  $('error').textContent = message ?? '';
}

function note(text) {
  showError(null);
  $('note').textContent = text;
  $('note').hidden = false;
  announce(text);
}

function announce(text) {
  lastAnnounced = performance.now();
  $('live').textContent = text;
}

// MARK: Models, language and colours

async function loadModels() {
  for (;;) {
    try {
      models = await fetchModels();
      showError(null);
      $('key-box').hidden = true;
    } catch (error) {
      if (error instanceof ServiceError && error.isLoss) return connection.wait();
      showError(wordError(error));
      // Useless retries would fill the server's log.
      if (!$('key-box').hidden) return undefined;
    }
    if (models.length > 0) break;
    $('model-line').textContent = t('loading');
    await new Promise((resume) => { setTimeout(resume, loadingPollMilliseconds); });
  }
  $('model-box').hidden = models.length < 2;
  $('model').replaceChildren(...models.map((model) => new Option(model.name, model.id)));
  const wanted = settings.model?.id ?? settings.load().model;
  useModel(models.find((model) => model.id === wanted) ?? models[0]);
  setRunning();
  await Promise.allSettled([loras.load(), loadRecent(), loadRuns(), loadMore()]);
  return undefined;
}

async function loadRecent() {
  const { data } = await fetchJobs({ state: 'succeeded', limit: stripLength });
  const pictures = data.flatMap(picturesOf);
  stage.remember(pictures, true);
  if (pictures.length > 0 && settings.lastSeed === null) settings.noteSeed(pictures[0].seed);
}

async function loadMore() {
  if (more) return;
  const { More } = await import('./more.js');
  more = await More.load({
    settings, stage, source, loras, runner, views, recall, restore, startFrom, note, fail, announce,
    run, models: () => models,
    submit: (request) => runner.run(request),
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
$('form').addEventListener('input', () => { $('note').hidden = true; });
$('prompt').addEventListener('focus', () => {
  if (wantsWords) return;
  wantsWords = true;
  loadWords();
});
$('cancel').addEventListener('click', () => runner.cancel());
$('model').addEventListener('change', () => useModel(models.find((model) => model.id === $('model').value)));
$('language').addEventListener('click', () => {
  const other = language === 'en' ? 'zh' : 'en';
  // Only a choice is stored; without one the browser's language is used.
  remembered.set('language', other);
  changeLanguage(other);
});
$('theme').addEventListener('click', () => useTheme(themes[(themes.indexOf(theme()) + 1) % themes.length]));
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  } else if (event.key === 'Escape') {
    if ($('recall').open) $('recall').open = false;
    else if (runner.isBusy) runner.cancel();
    else return;
    event.preventDefault();
  }
});
document.addEventListener('click', (event) => {
  if (!$('recall').contains(event.target)) $('recall').open = false;
});
if (/Mac|iPhone|iPad/.test(navigator.platform)) $('generate-key').textContent = '⌘ ↵';
takePictures(takeFile);

$('key').addEventListener('change', () => {
  useKey($('key').value);
  remembered.set('key', $('key').value);
  loadModels().then(() => runner.resume());
});
$('key').value = remembered.get('key') ?? '';
useKey($('key').value);

const storedTheme = remembered.get('theme');
useTheme(themes.includes(storedTheme) ? storedTheme : 'auto');
const storedLanguage = remembered.get('language');
await changeLanguage(['en', 'zh'].includes(storedLanguage) ? storedLanguage : preferredLanguage());
views.start();
await loadModels();
await runner.resume();
