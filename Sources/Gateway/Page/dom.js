// Part of Inkstone. Licence: see LICENSE.

import { address } from './api.js';
import { t } from './language.js';

/**
 * Makes an element.
 *
 * `i18n`, `label` and `placeholder` are keys of texts, which follow the language; `className`, `attributes`,
 * `data` and `on` set what they are called; everything else is a property.
 */
export function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  const { i18n, label, placeholder, attributes, data, on, ...properties } = options;
  Object.assign(element, properties);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  Object.assign(element.dataset, data);
  for (const [name, handler] of Object.entries(on ?? {})) element.addEventListener(name, handler);
  if (i18n) word(element, i18n);
  if (label) {
    element.dataset.i18nLabel = label;
    element.setAttribute('aria-label', t(label));
    if (tag === 'button') element.title = t(label);
  }
  if (placeholder) {
    element.dataset.i18nPlaceholder = placeholder;
    element.placeholder = t(placeholder);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Gives an element another text that follows the language. */
export function word(element, key) {
  element.dataset.i18n = key;
  element.textContent = t(key);
}

/** A button of one of the page's classes. */
export const button = (className, i18n, click, options = {}) => (
  make('button', { type: 'button', className, i18n, on: { click }, ...options }));

/** An icon of one path. */
export function icon(path) {
  const { namespaceURI } = document.querySelector('svg');
  const svg = document.createElementNS(namespaceURI, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(namespaceURI, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** A row with a name, a range and its value as text. */
export function slider(i18n, { min, max, step, value }, change, format = (number) => number.toFixed(2)) {
  const figure = make('output');
  const input = make('input', { type: 'range', min, max, step, value });
  const show = () => { figure.textContent = format(Number(input.value)); };
  input.addEventListener('input', () => { show(); change(Number(input.value)); });
  show();
  const row = make('label', { className: 'slider-row' }, make('span', { i18n }), figure, input);
  return {
    row,
    input,
    get value() { return Number(input.value); },
    set value(number) { input.value = number; show(); },
  };
}

/** Loads a style sheet. */
export const loadStyle = (name) => new Promise((resume) => {
  const link = make('link', { rel: 'stylesheet', href: address(`assets/${name}`) });
  for (const end of ['load', 'error']) link.addEventListener(end, resume);
  document.head.append(link);
});

/** Saves data as a file of the user's. */
export function saveAs(blob, name) {
  const link = make('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
