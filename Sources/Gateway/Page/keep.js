// Part of Inkstone. Licence: see LICENSE.

import { ofThisTab } from './store.js';

const days = 2;

/** The id of this tab, which survives a reload. */
function tab() {
  let id = ofThisTab.get('tab');
  if (!id) {
    id = String(Math.random()).slice(2);
    ofThisTab.set('tab', id);
  }
  return id;
}

const done = (request) => new Promise((resolve, reject) => {
  request.addEventListener('success', () => resolve(request.result));
  request.addEventListener('error', () => reject(request.error));
});

let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open('inkstone', 1);
    request.addEventListener('upgradeneeded', () => request.result.createObjectStore('files'));
    request.addEventListener('error', () => reject(request.error));
    request.addEventListener('success', () => resolve(request.result));
  }).then(async (base) => {
    await removeOld(base.transaction('files', 'readwrite').objectStore('files'));
    return base;
  });
  return opened;
}

/** Tabs that were closed leave their files. */
async function removeOld(store) {
  const oldest = Date.now() - days * 86_400_000;
  const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
  keys.forEach((key, index) => { if (values[index].at < oldest) store.delete(key); });
}

const store = async (mode) => (await open()).transaction('files', mode).objectStore('files');

/** Keeps a value for this tab, such as a file, over a reload; nothing where the browser stores nothing. */
export async function keep(name, value) {
  try {
    const files = await store('readwrite');
    const key = `${tab()}/${name}`;
    await done(value === null ? files.delete(key) : files.put({ at: Date.now(), value }, key));
  } catch { /* nothing is stored */ }
}

/** A kept value, or null. */
export async function kept(name) {
  try {
    return (await done((await store('readonly')).get(`${tab()}/${name}`)))?.value ?? null;
  } catch {
    return null;
  }
}
