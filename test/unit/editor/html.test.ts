import { describe, expect, it } from 'vitest';
import { escapeHtml, webviewPage } from '../../../src/editor/html.js';

const parts = {
  cspSource: 'https://*.vscode-cdn.test',
  nonce: 'bm9uY2U',
  script: 'https://x.test/run.js',
  style: 'https://x.test/run.css',
  title: 'Runs',
  language: 'en',
};

describe('webviewPage', () => {
  it('allows its own script by nonce and nothing inline or evaluated', () => {
    const page = webviewPage(parts);
    const policy = /content="([^"]+)"/.exec(page)?.[1] ?? '';
    expect(policy).toContain('default-src &#39;none&#39;');
    expect(policy).toContain('script-src &#39;nonce-bm9uY2U&#39;');
    expect(policy).not.toMatch(/unsafe/);
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toMatch(/<style|style=|onload|onclick/);
  });

  it('escapes what it is given', () => {
    const page = webviewPage({ ...parts, title: '</title><script>alert(1)</script>' });
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(escapeHtml(`<a href='x'>&"`)).toBe('&lt;a href=&#39;x&#39;&gt;&amp;&quot;');
  });
});
