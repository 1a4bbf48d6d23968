// Pictures: shown beside names, and cut to a square that the server takes.

import { h, t } from './dom.js';

const BASE64_MAX = 40 * 1024; // of one picture (protocol section 3)

/** It says nothing to a screen reader: the name stands beside it. */
export const avatar = (app, { pfp }, size) =>
	h('img.avatar', { src: app.current.pictureUrl(pfp), alt: '', width: size, height: size });

/** Resolves with the base64 of a PNG: the middle square of the picture in `file`, as large as the server takes it. */
export const pictureFromFile = async (file, edge = 256) => {
	const image = await createImageBitmap(file).catch(() => { throw new Error(t('picture_unreadable')); });
	const { width, height } = image;
	const size = Math.min(width, height);
	const canvas = h('canvas');
	for (let length = Math.min(edge, size); ; length *= 0.8) {
		canvas.width = canvas.height = length;
		canvas.getContext('2d').drawImage(image, (width - size) / 2, (height - size) / 2, size, size, 0, 0, canvas.width, canvas.height);
		const [, data] = canvas.toDataURL('image/png').split(',');
		if (data.length <= BASE64_MAX) return data;
	}
};
