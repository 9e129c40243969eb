// Part of Inkstone. Licence: see LICENSE.

// Storage may be forbidden; the page works without.

function store(area) {
  return {
    get(key) { try { return area()?.getItem(`inkstone.${key}`) ?? null; } catch { return null; } },
    set(key, value) { try { area()?.setItem(`inkstone.${key}`, value); } catch { /* nothing is stored */ } },
    remove(key) { try { area()?.removeItem(`inkstone.${key}`); } catch { /* nothing is stored */ } },
    getJSON(key) { try { return JSON.parse(this.get(key)); } catch { return null; } },
    setJSON(key, value) { this.set(key, JSON.stringify(value)); },
  };
}

/** Values that the browser stores for the next visit. */
export const remembered = store(() => window.localStorage);

/** Values of this tab, which survive a reload. */
export const ofThisTab = store(() => window.sessionStorage);
