// Pictures: shown beside names, and cut to a square that the server takes.

import { field, form, h, openDialog } from './dom.js';
import { t } from './text.js';

const BASE64_MAX = 40 * 1024; // of one picture (protocol section 3)
const EDGES = [256, 224, 192, 160, 128, 112, 96, 80, 64, 48, 32, 16];
const BOX = 256; // pixels of the square in which the part is chosen
const STEP = 8; // of them, for an arrow key
const ZOOM = 1.1;
const NOTHING = 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';

/** A member's picture. It says nothing to a screen reader: the name stands beside it. */
export const avatar = (app, { pfp }, size) =>
	h('img.avatar', { src: app.current.pictureUrl(pfp) ?? NOTHING, alt: '', width: size, height: size, decoding: 'async' });

/** Resolves with the base64 of a square PNG, the middle of the picture in `file`. */
export const pictureFromFile = async (file, edge = EDGES[0]) => {
	const image = await read(file);
	return encode(image, middle(image), edge);
};

const read = (file) => createImageBitmap(file).catch(() => { throw new Error(t('picture_unreadable')); });

const middle = ({ width, height }) => {
	const size = Math.min(width, height);
	return { x: (width - size) / 2, y: (height - size) / 2, size };
};

const paint = (canvas, image, { x, y, size }) => {
	const context = canvas.getContext('2d');
	context.imageSmoothingQuality = 'high';
	context.clearRect(0, 0, canvas.width, canvas.height);
	context.drawImage(image, x, y, size, size, 0, 0, canvas.width, canvas.height);
};

/** As large as the server takes it, but never larger than it was. */
const encode = (image, part, edge) => {
	const largest = Math.max(1, Math.floor(Math.min(edge, part.size)));
	for (const length of [largest, ...EDGES.filter((smaller) => smaller < largest)]) {
		const canvas = h('canvas', { width: length, height: length });
		paint(canvas, image, part);
		const [, data] = canvas.toDataURL('image/png').split(',');
		if (data.length <= BASE64_MAX) return data;
	}
	throw new Error(t('picture_unreadable'));
};

/** Lets the member choose the part that is shown. Resolves with base64, or null if they do not. */
export const cropDialog = async (file) => {
	const image = await read(file);
	const part = middle(image);
	const whole = part.size;
	const zoom = h('input', { type: 'range', min: 1, max: 8, step: 0.01, value: 1, oninput: () => change(0, 0) });
	/** Moves the picture by pixels of the box; zooming keeps the middle where it is. */
	const change = (right, down, factor = 1) => {
		zoom.value *= factor;
		const growth = whole / zoom.value - part.size;
		part.size += growth;
		const moved = (from, by, length) => Math.min(length - part.size, Math.max(0, from - by * part.size / BOX - growth / 2));
		part.x = moved(part.x, right, image.width);
		part.y = moved(part.y, down, image.height);
		paint(canvas, image, part);
	};
	const keys = {
		ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP], '+': [0, 0, ZOOM], '-': [0, 0, 1 / ZOOM],
	};
	const canvas = h('canvas', {
		width: BOX, height: BOX, tabindex: 0, role: 'application', 'aria-label': t('crop_hint'),
		onpointerdown: ({ pointerId }) => canvas.setPointerCapture(pointerId),
		onpointermove: ({ buttons, movementX, movementY }) => buttons && change(movementX, movementY),
		onkeydown: (event) => {
			if (!keys[event.key]) return;
			event.preventDefault();
			change(...keys[event.key]);
		},
	});
	change(0, 0);
	return new Promise((resolve) => {
		const dialog = openDialog(t('crop'), form(() => {
			resolve(encode(image, part, EDGES[0]));
			dialog.close();
		}, h('div.crop', canvas), field(t('zoom'), zoom, t('crop_hint')), h('div.row.end', h('button.primary', t('save')))),
		{ onclose: () => resolve(null) });
	});
};
