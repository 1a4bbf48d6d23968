// What this browser keeps: session tokens (never a password), drafts, messages not yet sent, settings.

const PREFIX = 'aster.';

export const load = (name, fallback) => {
	try {
		return JSON.parse(localStorage.getItem(PREFIX + name)) ?? fallback;
	} catch {
		return fallback; // not ours, or this browser keeps nothing
	}
};

/** Keeps a value; null forgets it. */
export const store = (name, value) => {
	try {
		if (value === null) localStorage.removeItem(PREFIX + name);
		else localStorage.setItem(PREFIX + name, JSON.stringify(value));
	} catch {
		// full, or this browser keeps nothing
	}
};

export const loadAll = (start) => names(start).map((name) => load(name, null)).filter((value) => value !== null);

export const forget = (address) => {
	for (const kind of ['session', 'drafts', 'channel', 'empty']) store(`${kind}.${address}`, null);
	for (const name of names(`outbox.${address}.`)) store(name, null);
};

const names = (start) => {
	try {
		return Object.keys(localStorage).map((key) => key.slice(PREFIX.length)).filter((name) => name.startsWith(start));
	} catch {
		return [];
	}
};
