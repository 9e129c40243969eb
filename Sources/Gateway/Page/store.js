// Part of Inkstone. Licence: see LICENSE.

// Storage may be forbidden; the page works without.

function store(area) {
  return {
    get(key) { try { return area()?.getItem(`inkstone.${key}`) ?? null; } catch { return null; } },
    set(key, value) { try { area()?.setItem(`inkstone.${key}`, value); } catch { /* nothing to keep */ } },
    remove(key) { try { area()?.removeItem(`inkstone.${key}`); } catch { /* nothing to keep */ } },
    getJSON(key) { try { return JSON.parse(this.get(key)); } catch { return null; } },
    setJSON(key, value) { this.set(key, JSON.stringify(value)); },
  };
}

/** What the browser keeps for the next visit. */
export const remembered = store(() => window.localStorage);

/** What belongs to this tab, and survives a reload of it. */
export const ofThisTab = store(() => window.sessionStorage);
