// Starts the client on the page.

import { App } from './app.js';
import { mountNotices } from './dom.js';
import { shellView } from './views/shell.js';

const app = new App();
document.querySelector('main').replaceWith(shellView(app));
mountNotices();
app.start();
