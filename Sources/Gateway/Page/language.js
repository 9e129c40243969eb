// Part of Inkstone. Licence: see LICENSE.

import { fetchTexts } from './api.js';

let texts = {};
/** Parts of the page that are loaded on demand, by the beginning of their files' names, with their loading. */
const groups = new Map();

/** The language in use: `en` or `zh`. */
export let language = 'en';

/** The text of a key with `{name}` replaced by values; `key.one` where `count` is 1, if there is such a text. */
export function t(key, values = {}) {
  const single = values.count === 1 ? texts[`${key}.one`] : undefined;
  return (single ?? texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

async function load(name) {
  const files = [name, ...[...groups.keys()].map((group) => `${group}-${name}`)];
  return Object.assign({}, ...await Promise.all(files.map(fetchTexts)));
}

/** Loads the texts of a part of the page, in this language and in every later one. */
export function useTexts(group) {
  if (!groups.has(group)) {
    groups.set(group, fetchTexts(`${group}-${language}`).then((found) => { Object.assign(texts, found); }));
  }
  return groups.get(group);
}

/** Loads a language and translates the whole document. */
export async function useLanguage(name) {
  texts = await load(name);
  language = name;
  document.documentElement.lang = name === 'zh' ? 'zh-Hans' : 'en';
  for (const element of document.querySelectorAll('[data-i18n]')) {
    element.textContent = t(element.dataset.i18n);
  }
  for (const element of document.querySelectorAll('[data-i18n-label]')) {
    element.setAttribute('aria-label', t(element.dataset.i18nLabel));
    if (element.tagName === 'BUTTON') element.title = t(element.dataset.i18nLabel);
  }
  for (const element of document.querySelectorAll('[data-i18n-alt]')) {
    element.alt = t(element.dataset.i18nAlt);
  }
  for (const element of document.querySelectorAll('[data-i18n-placeholder]')) {
    element.placeholder = t(element.dataset.i18nPlaceholder);
  }
}

/** The preferred language of the browser's user. */
export function preferredLanguage() {
  const first = (navigator.languages ?? [navigator.language]).find((tag) => /^(en|zh)\b/i.test(tag));
  return first?.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

/** One of a model's values by language code. */
export function pick(byLanguage) {
  return byLanguage?.[language] ?? byLanguage?.en ?? Object.values(byLanguage ?? {})[0];
}

/** A duration as text. */
export function duration(seconds) {
  if (seconds < 9.95) return t('time.seconds', { seconds: seconds.toFixed(1) });
  const whole = Math.round(seconds);
  if (whole < 60) return t('time.seconds', { seconds: whole });
  if (whole < 3600) return t('time.minutes', { minutes: Math.floor(whole / 60), seconds: whole % 60 });
  return t('time.hours', { hours: Math.floor(whole / 3600), minutes: Math.floor((whole % 3600) / 60) });
}

/** A number of bytes as text. */
export function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  const value = count / 1000 ** power;
  return `${value.toFixed(value < 9.95 && power > 2 ? 1 : 0)} ${units[power]}`;
}

/** A point in time as text, from Unix seconds. */
export function dateTime(seconds) {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(seconds * 1000);
}

/** Some words as alternatives: a, b, or c. */
export function anyOf(words) {
  return new Intl.ListFormat(language, { type: 'disjunction' }).format(words);
}

/** A large number, abbreviated: 6.15 B. */
export function short(number) {
  return new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 }).format(number);
}
