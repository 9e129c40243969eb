// Part of Inkstone. Licence: see LICENSE.

import { fetchModels, generate, ServiceError, useKey } from './api.js';
import { duration, language, pick, preferredLanguage, short, t, useLanguage } from './language.js';
import { Progress } from './progress.js';
import { FieldError, Settings } from './settings.js';
import { Stage } from './stage.js';

const $ = (id) => document.getElementById(id);
const themes = ['auto', 'light', 'dark'];
const loadingPollMilliseconds = 1500;

let models = [];
let running = null;

const stage = new Stage((request) => settings.reuse(request));
const settings = new Settings((values) => stage.shape(values));

/** A preference of the last visit, where the browser keeps one. */
const remembered = {
  get(key) { try { return localStorage.getItem(`inkstone.${key}`); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(`inkstone.${key}`, value); } catch { /* forbidden */ } },
};

// MARK: Generating

async function run() {
  if (running || models.length === 0) return;
  let request;
  try {
    request = settings.request();
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    showError(error.message);
    error.element.focus();
    return;
  }
  showError(null);
  running = new AbortController();
  const progress = new Progress(request.count, request.steps);
  setRunning(true);
  stage.begin(request);
  showProgress(progress, t('progress.sending'));
  announce(t('live.started'));
  if (matchMedia('(max-width: 859px)').matches) $('frame').scrollIntoView({ block: 'nearest' });
  try {
    await generate(request, running.signal, (name, data) => onEvent(name, data, request, progress));
    announce(t('live.done'));
  } catch (error) {
    if (running.signal.aborted) announce(t('live.cancelled'));
    else showError(wordError(error));
  }
  running = null;
  stage.end();
  setRunning(false);
}

function onEvent(name, data, request, progress) {
  switch (name) {
    case 'queued':
      showProgress(progress, data.position > 0 ? t('progress.queued', { count: data.position }) : t('progress.next'));
      break;
    case 'started':
      showProgress(progress, t('progress.started'));
      break;
    case 'step':
      progress.noteStep(data);
      showProgress(progress);
      break;
    case 'preview':
      if (progress.isInFront(data.image)) stage.preview(data.url, data.step / progress.steps);
      break;
    case 'image':
      progress.noteImage();
      stage.add(data, request);
      showProgress(progress);
      break;
  }
}

function cancel() {
  running?.abort();
}

function setRunning(isRunning) {
  $('generate').disabled = isRunning || models.length === 0;
  $('cancel').hidden = !isRunning;
  $('progress').hidden = !isRunning;
  $('frame').setAttribute('aria-busy', String(isRunning));
}

function showProgress(progress, text) {
  const { image, images, step, steps, pace, secondsLeft } = progress;
  const bar = $('bar');
  if (text) bar.removeAttribute('value');
  else bar.value = progress.share;
  const key = images > 1 ? 'progress.image' : 'progress.step';
  $('progress-text').textContent = text
    ?? (progress.isDecoding ? t('progress.decoding') : t(key, { image: image + 1, images, step, steps }));
  const parts = [];
  if (pace !== null) parts.push(t('progress.pace', { pace: pace.toFixed(pace < 10 ? 2 : 0) }));
  if (secondsLeft > 0) parts.push(t('progress.left', { time: duration(secondsLeft) }));
  $('progress-time').textContent = parts.join(' · ');
}

// MARK: Messages

function wordError(error) {
  if (!(error instanceof ServiceError)) return String(error);
  if (error.code === 'missing_api_key' || error.code === 'invalid_api_key') $('key-box').hidden = false;
  const key = `error.${error.code}`;
  const text = t(key, { seconds: error.retryAfter });
  return text === key ? error.message : text;
}

function showError(message) {
  $('error').hidden = !message;
  $('error').textContent = message ?? '';
}

function announce(text) {
  $('live').textContent = text;
}

// MARK: Models, language and colours

async function loadModels() {
  for (;;) {
    try {
      models = await fetchModels();
      showError(null);
    } catch (error) {
      showError(wordError(error));
    }
    if (models.length > 0) break;
    $('model-line').textContent = t('loading');
    await new Promise((resume) => { setTimeout(resume, loadingPollMilliseconds); });
  }
  $('model-box').hidden = models.length < 2;
  $('model').replaceChildren(...models.map((model) => new Option(model.name, model.id)));
  useModel(models.find((model) => model.id === settings.load().model) ?? models[0]);
  setRunning(false);
}

function useModel(model) {
  $('model').value = model.id;
  settings.useModel(model);
  wordModel();
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
  remembered.set('language', name);
  if (settings.model) settings.wordChoices();
  wordModel();
  stage.word();
  showTheme();
}

function theme() {
  return document.documentElement.dataset.theme ?? 'auto';
}

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

$('form').addEventListener('submit', (event) => { event.preventDefault(); run(); });
$('cancel').addEventListener('click', cancel);
$('model').addEventListener('change', () => useModel(models.find((model) => model.id === $('model').value)));
$('language').addEventListener('click', () => changeLanguage(language === 'en' ? 'zh' : 'en'));
$('theme').addEventListener('click', () => useTheme(themes[(themes.indexOf(theme()) + 1) % themes.length]));
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  } else if (event.key === 'Escape' && running) {
    event.preventDefault();
    cancel();
  }
});
if (/Mac|iPhone|iPad/.test(navigator.platform)) $('generate-key').textContent = '⌘ ↵';

$('key').addEventListener('input', () => {
  useKey($('key').value);
  remembered.set('key', $('key').value);
});
$('key').value = remembered.get('key') ?? '';
useKey($('key').value);

const storedTheme = remembered.get('theme');
useTheme(themes.includes(storedTheme) ? storedTheme : 'auto');
const storedLanguage = remembered.get('language');
await changeLanguage(['en', 'zh'].includes(storedLanguage) ? storedLanguage : preferredLanguage());
await loadModels();
