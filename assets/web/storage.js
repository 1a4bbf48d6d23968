// What this browser keeps: session tokens (never a password), drafts, messages not yet sent, settings.

const PREFIX = 'aster.';

/** What was kept may be none of ours; a browser may be full, or keep nothing at all. */
const attempt = (work, otherwise) => {
	try {
		return work() ?? otherwise;
	} catch {
		return otherwise;
	}
};

export const load = (name, fallback) => attempt(() => JSON.parse(localStorage.getItem(PREFIX + name)), fallback);

/** Keeps a value; null forgets it. */
export const store = (name, value) => attempt(() =>
	(value === null ? localStorage.removeItem(PREFIX + name) : localStorage.setItem(PREFIX + name, JSON.stringify(value))));

const names = (start) => attempt(() =>
	Object.keys(localStorage).map((key) => key.slice(PREFIX.length)).filter((name) => name.startsWith(start)), []);

/** The values of all names that begin so. */
export const loadAll = (start) => names(start).map((name) => load(name, null)).filter(Boolean);

/** Forgets everything about one server. */
export const forget = (address) => {
	const kinds = ['session', 'drafts', 'channel'].map((kind) => `${kind}.${address}`);
	for (const name of [...kinds, ...names(`outbox.${address}.`)]) store(name, null);
};
