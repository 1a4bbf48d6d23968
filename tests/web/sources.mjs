// The client's pure modules in Node.js, which takes .js files for modules only where a package.json says so.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const WEB = fileURLToPath(new URL('../../assets/web/', import.meta.url));

/** Each module by its path below assets/web; none that touches a page as it loads. */
export const load = async (...names) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'aster-sources-'));
  try {
    cpSync(WEB, folder, { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
    return await Promise.all(names.map((name) => import(path.join(folder, name))));
  } finally {
    rmSync(folder, { recursive: true });
  }
};
