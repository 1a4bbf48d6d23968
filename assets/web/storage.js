// What this browser keeps: session tokens (never a password), drafts, messages not yet sent, settings.

const PREFIX = 'aster.';

/** A browser that keeps nothing makes do for this visit. */
const kept = (() => {
	try {
		localStorage.setItem(`${PREFIX}try`, '');
		localStorage.removeItem(`${PREFIX}try`);
		return localStorage;
	} catch {
		const memory = {};
		return Object.defineProperties(memory, {
			getItem: { value: (key) => memory[key] ?? null }, setItem: { value: (key, text) => { memory[key] = text; } },
			removeItem: { value: (key) => delete memory[key] },
		});
	}
})();

/** What was kept under this name, or `fallback`. */
export const load = (name, fallback) => {
	try {
		return JSON.parse(kept.getItem(PREFIX + name)) ?? fallback;
	} catch {
		return fallback; // not ours
	}
};

/** Keeps a value; null forgets it. */
export const store = (name, value) => {
	if (value === null) return kept.removeItem(PREFIX + name);
	try {
		kept.setItem(PREFIX + name, JSON.stringify(value));
	} catch {
		// full
	}
};

/** The values of all names that begin so. */
export const loadAll = (start) => names(start).map((name) => load(name, null)).filter((value) => value !== null);

/** Forgets everything about one server. */
export const forget = (address) => {
	for (const kind of ['session', 'drafts', 'channel', 'empty']) store(`${kind}.${address}`, null);
	for (const name of names(`outbox.${address}.`)) store(name, null);
};

const names = (start) => Object.keys(kept).map((key) => key.slice(PREFIX.length)).filter((name) => name.startsWith(start));
