// What hostile members write. The harm would be `window.__pwned`, a dialog, a request, or markup.

const HARM = 'window.__pwned=1';

/** To be shown exactly so, wherever they stand. At most 32 bytes each: they are names, too. */
export const NAMES = [
  '<script>__pwned=1</script>', '<img src=x onerror=__pwned=1>', '"><svg onload=__pwned=1>', '</title><b>x', '</textarea><i>x',
  '<b>bold</b>', '&lt;b&gt;&amp;&#60;', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '${__pwned=1}', '{{7*7}}', '{name}', '{n}',
  'a" onfocus="__pwned=1', "a' onclick='__pwned=1", '`onmouseover=__pwned=1', 'javascript:__pwned=1', '--></style><u>', 'null', 'undefined', '[object Object]', '$&$1$`',
  '\u202Egnp.exe\u202C', '\u2066isolated', '\u200F\u200Emarks', 'ＡＢＣ', '👩‍👩‍👧‍👦', 'a\u0301\u0301\u0301\u0301\u0301', '.*+?^${}()|[]\\/', '%3Cb%3E', '\\u003cb\\u003e',
  '../../health', '#frag?q=1', '*/alert(1)/*', "'; DROP TABLE x; --", ']]><![CDATA[x', 'W'.repeat(32),
];

/** Texts of messages without anything that Markdown would take: shown exactly so. */
export const TEXTS = [
  `<script>${HARM}</script>`, `<ScRiPt src=https://evil.example/x.js></sCrIpT>`, `<img src="https://evil.example/x.png" onerror="${HARM}">`,
  `<svg/onload=${HARM}>`, `<svg><animate onbegin=${HARM} attributeName=x dur=1s>`, `<math><mtext><table><mglyph><style><img src=x onerror=${HARM}>`,
  `<iframe srcdoc="<script>parent.__pwned=1</script>"></iframe>`, `<object data="data:text/html,<script>${HARM}</script>"></object>`,
  `<embed src="data:image/svg+xml,<svg onload='${HARM}'/>">`, `<a href="javascript:${HARM}">click</a>`, `<form action="https://evil.example/"><input autofocus onfocus=${HARM}>`,
  `<details open ontoggle=${HARM}>x</details>`, `<video><source onerror=${HARM}></video>`, `<body onload=${HARM}>`, `<base href="https://evil.example/">`,
  `<meta http-equiv="refresh" content="0;url=https://evil.example/">`, `<link rel=stylesheet href="https://evil.example/x.css">`, `<style>@import 'https://evil.example/x.css';</style>`,
  `<style>body{display:none}</style>`, `<noscript><p title="</noscript><img src=x onerror=${HARM}>">`, `<template><script>${HARM}</script></template>`, `<!--<img src="--><img src=x onerror=${HARM}>">`,
  `--><script>${HARM}</script>`, `"><script>${HARM}</script>`, `'-${HARM}-'`, `\${${HARM}}`, `{{constructor.constructor("${HARM}")()}}`, `</p></li></ol></main><h1>gone</h1>`,
  `</script><script>${HARM}</script>`, '&lt;script&gt;alert(1)&lt;/script&gt;', '&#x3c;script&#x3e;', '&nbsp;&copy;&notanentity;', '%3Cscript%3E', '\\x3cscript\\x3e', '\\u003cscript\\u003e',
  '\u202Eright to left\u202C and back', '\u2067isolate\u2069', '\uFEFFmark', 'zero\u200Bwidth\u200Djoiner', 'nul \u0000 and \u0007 bell', '\ud83d\udc69\u200d\ud83d\udcbb', 'e\u0301'.repeat(50),
  `${'A'.repeat(3000)}`, '𝕏'.repeat(500), '{name} {n} {reason}', '@', '@@@@', ':::', '#general', '__proto__ is text'.replace('__proto__', 'proto'),
];

/** What tries to get out of Markdown: shown in some form, and harmless. */
export const MARKDOWN = [
  `[click](javascript:${HARM})`, `[click](JaVaScRiPt:${HARM})`, `[click](java\tscript:${HARM})`, `[click]( javascript:${HARM})`, `[click](&#106;avascript:${HARM})`, `[click](\u0001javascript:${HARM})`,
  `[click](data:text/html,<script>${HARM}</script>)`, `[click](vbscript:x)`, `[click](file:///etc/passwd)`, `[click](blob:https://x/1)`, `[click](//evil.example/)`, `[click](https://ok.example/" onmouseover="${HARM})`,
  `[click](https://ok.example/'onclick='${HARM})`, `[<img src=x onerror=${HARM}>](https://ok.example/)`, `[https://good.example/](https://evil.example/)`, `[good.example](https://evil.example/)`,
  `https://evil.example/"onmouseover="${HARM}`, `https://evil.example/<script>${HARM}</script>`, `https://user:pass@evil.example/`, `https://good.example@evil.example/`, `https://xn--80ak6aa92e.com/`, `https://evil.example/x.png`, `https://evil.example/x.svg`, `![x](https://evil.example/x.png)`,
  `![x](javascript:${HARM})`, `\`<img src=x onerror=${HARM}>\``, `\`\`\`html\n<script>${HARM}</script>\n\`\`\``, `\`\`\`"><script>${HARM}</script>\n\`\`\``, `**<b onclick=${HARM}>x</b>**`, `> <script>${HARM}</script>`,
  `- <img src=x onerror=${HARM}>`, `||<img src=x onerror=${HARM}>||`, `*_**~~||\`[*_**~~||\`[`, `[a](b)(c)[d]`, `[[[[[[](((((`, `__proto__ **constructor**`, ':__proto__: :constructor: :toString:', ':"onerror="x:', '@__proto__ @constructor',
  '@<script>__pwned=1</script>', `<https://evil.example/>`, `<javascript:${HARM}>`, `[x]: javascript:${HARM}\n[x]`, `# <script>${HARM}</script>`, `|a|b|\n|-|-|\n|<script>|x|`, `mailto:a@b.example?subject=<script>`, 'https://%', 'https://[', 'https://:', 'https://a:99999/', 'https://%zz/', '[x](https://[)', '[x](https://%)', '[x](mailto:%)', 'http://.', 'https://a/x.png?%', `[m](mailto:a"onclick="${HARM}@b.example)`,
  '*'.repeat(16000), '['.repeat(16000), '>'.repeat(16000), '||'.repeat(8000), '`'.repeat(16000), '_*'.repeat(8000), '- '.repeat(8000), '![]('.repeat(4000), '\\'.repeat(16000),
];

/** For pictures, addresses and the like. */
export const URLS = [
  `javascript:${HARM}`, `data:text/html,<script>${HARM}</script>`, `data:image/svg+xml,<svg onload="${HARM}"/>`, 'https://evil.example/x.png', '"><script>', 'evil.example/x?', 'a@evil.example', '127.0.0.1:1/#', 'x y', '__proto__',
];
