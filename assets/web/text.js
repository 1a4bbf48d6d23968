// The texts of the language in use, and dates as that language writes them.

import de from './lang/de.js';
import en from './lang/en.js';
import { Refusal } from './protocol.js';

const LANGUAGES = { en, de };
const SECONDS_MAX = 8.64e12; // past this no calendar goes, though a ban may

let texts = en;
let locale = 'en';

export const useLanguage = () => {
	locale = navigator.languages.find((tag) => tag.slice(0, 2) in LANGUAGES) ?? 'en';
	const language = locale.slice(0, 2);
	texts = LANGUAGES[language];
	document.documentElement.lang = language;
};

/** `{name}` in a text becomes `values.name`, and `values.n` chooses the plural. */
export const t = (key, values = {}) => {
	const text = texts[`${key}_${values.n === 1 ? 'one' : 'other'}`] ?? texts[key];
	if (text === undefined) throw new Error(`no text ${key}`);
	return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
};

export const refusalText = (problem, kind) => {
	if (problem.name === 'Disconnected') return t('notice_offline');
	if (!(problem instanceof Refusal)) return problem.message;
	return texts[`${kind}_${problem.status}`] ?? texts[`notice_${problem.status}`] ?? t('notice_500');
};

const format = (seconds, options) => new Intl.DateTimeFormat(locale, options).format(Math.min(seconds, SECONDS_MAX) * 1000);
export const time = (seconds) => format(seconds, { timeStyle: 'short' });
export const day = (seconds) => format(seconds, { dateStyle: 'full' });
export const dateTime = (seconds) => format(seconds, { dateStyle: 'medium', timeStyle: 'short' });
