// One server's WebSocket: requests with their responses, events, and coming back after a cut.

/** The server's answer was another status than 200 (protocol section 2). */
export class Refusal extends Error {
	name = 'Refusal';

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
const PAUSE_MS = 1000; // before the second try; each further one is twice as long
const PAUSE_MS_MAX = 60_000;

/** Events: `open` (the greeting came), `cut` (`retryAt` says when it is tried again), `packet` (detail: an event of the protocol). */
export class Connection extends EventTarget {
	#socket = null;
	#waiting = new Map(); // label -> {command, resolve, reject}
	#labels = 0;
	#timer; // for whatever comes next: the greeting, a sign of life, another try
	isOpen = false;
	/** Failed in a row; whoever has logged in sets it to 0. */
	tries = 0;
	/** Milliseconds since 1970. */
	retryAt = 0;

	constructor(url) {
		super();
		this.url = url;
	}

	connect() {
		if (this.#socket) return;
		this.#socket = new WebSocket(this.url);
		this.#after(OPENING_MS_MAX, () => this.#drop());
		this.#socket.onclose = () => this.#drop();
		this.#socket.onmessage = ({ data }) => {
			try {
				this.#receive(JSON.parse(data));
			} catch {
				this.#drop(); // no Aster server
			}
		};
	}

	/** Ends it for good. */
	close() {
		this.#end();
	}

	#end() {
		clearTimeout(this.#timer);
		const socket = this.#socket;
		this.#socket = null;
		this.isOpen = false;
		if (socket) socket.onclose = socket.onmessage = null;
		socket?.close();
		for (const { reject } of this.#waiting.values()) reject(new Disconnected());
		this.#waiting.clear();
	}

	/** Resolves with the response; rejects with a Refusal or Disconnected. */
	request(command, fields) {
		return new Promise((resolve, reject) => {
			if (!this.isOpen) return reject(new Disconnected());
			const label = String(++this.#labels);
			this.#waiting.set(label, { command, resolve, reject });
			this.#socket.send(JSON.stringify({ command, ...fields, label }));
		});
	}

	/** The network may have changed: tries at once, or sees whether anybody is there. */
	nudge() {
		if (this.isOpen) this.#probe();
		else this.connect();
	}

	#probe() {
		this.request('ping').catch(() => {}); // a browser sends none of WebSocket's own
		this.#after(ANSWER_MS_MAX, () => this.#drop());
	}

	#receive(packet) {
		if (!this.isOpen && (packet.command !== 'API_version' || packet.version[0] !== VERSION)) return this.#drop();
		this.#after(SILENCE_MS_MAX, () => this.#probe());
		const asked = this.#waiting.get(packet.label);
		this.#waiting.delete(packet.label);
		if (!this.isOpen) {
			this.isOpen = true;
			this.dispatchEvent(new Event('open'));
		} else if (!asked) {
			this.dispatchEvent(new CustomEvent('packet', { detail: packet }));
		} else if (packet.status === 200) {
			asked.resolve(packet);
		} else {
			asked.reject(new Refusal(asked.command, packet.status));
		}
	}

	#drop() {
		this.#end();
		// Spread out, so that a server that comes back is not met by all at once.
		const pause = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** this.tries++) * (0.7 + 0.6 * Math.random());
		this.retryAt = Date.now() + pause;
		this.#after(pause, () => this.connect());
		this.dispatchEvent(new Event('cut'));
	}

	#after(pause, act) {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(act, pause);
	}
}
