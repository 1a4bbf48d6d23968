// One server's WebSocket: requests with their responses, events, and coming back after a cut.

/** The server's answer was another status than 200 (protocol section 2). */
export class Refusal extends Error {
	constructor(command, status) {
		super(`${command}: ${status}`);
		this.status = status;
	}
}

/** The connection ended before the answer came: whether it was carried out is not known. */
export class Disconnected extends Error {
	name = 'Disconnected';
}

const VERSION = 1;
const OPENING_MS_MAX = 15_000;
const SILENCE_MS_MAX = 30_000; // then it is asked whether anybody is there
const ANSWER_MS_MAX = 15_000; // to that
const PAUSE_MS = [1000, 60_000]; // between tries: the first, and the longest

/** Events: `open`, `cut` (tried again at `retryAt`), `packet` (detail: an event of the protocol). */
export class Connection extends EventTarget {
	#socket = null;
	#waiting = new Map(); // label -> {command, resolve, reject}
	#labels = 0;
	#tries = 0;
	#timer = null;
	#heart = null;
	isOpen = false;
	retryAt = 0; // ms since 1970

	constructor(url) {
		super();
		this.url = url;
	}

	connect() {
		if (this.#socket) return;
		clearTimeout(this.#timer);
		let socket;
		try {
			socket = new WebSocket(this.url);
		} catch {
			return this.#plan(); // no address at all
		}
		this.#socket = socket;
		this.#timer = setTimeout(() => this.#drop(socket), OPENING_MS_MAX);
		socket.onmessage = ({ data }) => {
			let packet;
			try {
				packet = JSON.parse(data);
			} catch {
				return this.#drop(socket); // no Aster server
			}
			this.#receive(packet);
		};
		socket.onclose = () => this.#drop(socket);
	}

	close() {
		const socket = this.#socket;
		this.#forget();
		clearTimeout(this.#timer);
		socket?.close();
	}

	/** Rejects with a Refusal or Disconnected. */
	request(command, fields = {}) {
		return new Promise((resolve, reject) => {
			if (!this.isOpen) return reject(new Disconnected());
			const label = String(++this.#labels);
			this.#waiting.set(label, { command, resolve, reject });
			this.#socket.send(JSON.stringify({ command, ...fields, label }));
		});
	}

	/** After a login: the next cut is a new one, with short pauses at first. */
	settle() {
		this.#tries = 0;
	}

	/** Something suggests that the network changed: try at once, or see whether anybody is there. */
	nudge() {
		if (this.isOpen) this.#probe();
		else this.connect();
	}

	#receive(packet) {
		this.#listen();
		if (!this.isOpen) {
			if (packet.command !== 'API_version' || packet.version?.[0] !== VERSION) {
				return this.#drop(this.#socket);
			}
			clearTimeout(this.#timer);
			this.isOpen = true;
			this.dispatchEvent(new Event('open'));
			return;
		}
		const asked = this.#waiting.get(packet.label);
		if (!asked) return void this.dispatchEvent(new CustomEvent('packet', { detail: packet }));
		this.#waiting.delete(packet.label);
		if (packet.status === 200) asked.resolve(packet);
		else asked.reject(new Refusal(asked.command, packet.status));
	}

	/** Browsers cannot ping: a request without an effect does as well. */
	#listen() {
		clearTimeout(this.#heart);
		this.#heart = setTimeout(() => this.#probe(), SILENCE_MS_MAX);
	}

	#probe() {
		const socket = this.#socket;
		clearTimeout(this.#heart);
		this.request('ping').catch(() => {});
		this.#heart = setTimeout(() => this.#drop(socket), ANSWER_MS_MAX);
	}

	#drop(socket) {
		if (socket !== this.#socket) return;
		this.#forget();
		socket.close();
		this.#plan();
	}

	#plan() {
		const [first, longest] = PAUSE_MS;
		const pause = Math.min(longest, first * 2 ** this.#tries++);
		// Spread out, so that a server that comes back is not met by all at once.
		const spread = pause * (0.7 + 0.6 * Math.random());
		this.retryAt = Date.now() + spread;
		this.#timer = setTimeout(() => this.connect(), spread);
		this.dispatchEvent(new Event('cut'));
	}

	#forget() {
		clearTimeout(this.#heart);
		this.#socket = null;
		this.isOpen = false;
		const lost = [...this.#waiting.values()];
		this.#waiting.clear();
		for (const { reject } of lost) reject(new Disconnected());
	}
}
