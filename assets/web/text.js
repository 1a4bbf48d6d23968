// The texts of the language in use, and dates as that language writes them.

import de from './lang/de.js';
import en from './lang/en.js';
import { Refusal } from './protocol.js';

export const LANGUAGES = { en, de };

let texts = en;
let locale = 'en';
let plural = new Intl.PluralRules('en');

/** `language`: 'auto', or a key of LANGUAGES. */
export const useLanguage = (language) => {
	const wanted = language in LANGUAGES ? [language] : navigator.languages;
	const found = wanted.find((tag) => tag.slice(0, 2) in LANGUAGES) ?? 'en';
	texts = LANGUAGES[found.slice(0, 2)];
	locale = found;
	plural = new Intl.PluralRules(locale);
	document.documentElement.lang = found.slice(0, 2);
};

/** The text of this key; `{name}` in it becomes `values.name`, and `values.n` chooses the plural. */
export const t = (key, values = {}) => {
	const exact = 'n' in values ? `${key}_${plural.select(values.n) === 'one' ? 'one' : 'other'}` : key;
	const text = texts[exact] ?? texts[key];
	if (text === undefined) throw new Error(`no text ${key}`);
	return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
};

/** Why something did not happen, in words. `kind` knows better words for some statuses. */
export const refusalText = (problem, kind) => {
	if (!(problem instanceof Refusal)) return problem.name === 'Disconnected' ? t('notice_offline') : problem.message;
	const special = `${kind}_${problem.status}`;
	return t(special in texts ? special : `notice_${problem.status}`);
};

/** Past this no calendar goes, though a ban may. */
const SECONDS_MAX = 8.64e12;
const moment = (seconds) => new Date(Math.min(Number(seconds) || 0, SECONDS_MAX) * 1000);
const format = (seconds, options) => new Intl.DateTimeFormat(locale, options).format(moment(seconds));
export const iso = (seconds) => moment(seconds).toISOString();
export const time = (seconds) => format(seconds, { hour: '2-digit', minute: '2-digit' });
export const day = (seconds) => format(seconds, { dateStyle: 'full' });
export const dateTime = (seconds) => format(seconds, { dateStyle: 'medium', timeStyle: 'short' });

const UNITS = [['day', 86400], ['hour', 3600], ['minute', 60]];

/** "2 hours ago", "yesterday". */
export const relative = (seconds) => {
	const passed = seconds - Date.now() / 1000;
	const [unit, size] = UNITS.find(([, length]) => Math.abs(passed) >= length) ?? ['minute', 60];
	return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(Math.round(passed / size), unit);
};
