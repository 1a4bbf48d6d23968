// What this browser keeps: session tokens (never a password), drafts, messages not yet sent, settings.

const PREFIX = 'aster.';

/** What was kept under this name, or `fallback`. */
export const load = (name, fallback) => {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback; // no storage, or not ours
  }
};

/** Keeps a value; null forgets it. A browser that keeps nothing makes do for this visit. */
export const store = (name, value) => {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // full, or forbidden
  }
};

/** The values of all names that begin so. */
export const loadAll = (start) => names(start).map((name) => load(name, null)).filter((value) => value !== null);

/** Forgets everything about one server. */
export const forget = (address) => {
  for (const kind of ['session', 'drafts', 'channel', 'empty']) store(`${kind}.${address}`, null);
  for (const name of names(`outbox.${address}.`)) store(name, null);
};

const names = (start) => {
  try {
    const all = Object.keys(localStorage).map((key) => key.slice(PREFIX.length));
    return all.filter((name) => name.startsWith(start));
  } catch {
    return [];
  }
};
