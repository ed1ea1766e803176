/** VS Code's colours for what style sheets do not reach: canvases. They change while the view is open. */

export interface Theme {
  readonly kind: 'light' | 'dark' | 'high-contrast' | 'high-contrast-light';
  readonly foreground: string;
  readonly muted: string;
  readonly background: string;
  readonly grid: string;
  readonly accent: string;
  readonly fontFamily: string;
  readonly fontSize: number;
  /** Colours that are told apart, for curves. */
  readonly series: readonly string[];
}

/**
 * VS Code's own chart colours, and others where two of its own look alike to people who see red and green, or blue and yellow, as
 * one (its orange and yellow do to everybody, and its orange is half transparent). In this order, the first are the easiest to tell apart, by lightness too.
 */
const curveColors = {
  dark: [
    ...['charts-blue', 'oklch(0.7 0.14 68)', 'charts-green'],
    ...['oklch(0.88 0.09 320)', 'oklch(0.6 0.17 15)', 'oklch(0.91 0.15 105)'],
    ...['oklch(0.62 0.1 310)', 'oklch(0.7 0.11 190)'],
  ],
  light: [
    ...['charts-blue', 'oklch(0.7 0.14 68)', 'charts-purple'],
    ...['oklch(0.42 0.12 150)', 'oklch(0.58 0.22 5)', 'oklch(0.33 0.11 262)'],
    ...['oklch(0.66 0.12 310)', 'oklch(0.6 0.1 190)'],
  ],
};

/** Hues (degrees) of the curves after those. */
const moreHues = [75, 285, 130, 240, 20, 150, 330, 110, 350, 50, 215, 305];

export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string, fallback: string): string => {
    const value = style.getPropertyValue(`--vscode-${name}`).trim();
    return value === '' ? fallback : value;
  };
  const kind = kindOf(document.body.classList);
  const dark = kind === 'dark' || kind === 'high-contrast';
  const foreground = color('editor-foreground', dark ? '#cccccc' : '#333333');
  const contrast = color('contrastBorder', '');
  const curves = curveColors[dark ? 'dark' : 'light'].map((name) =>
    name.startsWith('charts-') ? color(name, '') : name,
  );
  return {
    kind,
    foreground,
    muted: kind.startsWith('high-contrast') ? foreground : color('descriptionForeground', foreground),
    background: color('editor-background', dark ? '#1e1e1e' : '#ffffff'),
    grid: contrast === '' ? `color-mix(in srgb, ${foreground} 14%, transparent)` : mixed(foreground, 30),
    accent: color('focusBorder', '#0078d4'),
    fontFamily: color('font-family', 'sans-serif'),
    fontSize: Number.parseFloat(color('font-size', '13px')) || 13,
    series: [
      ...curves.filter((value) => value !== ''),
      ...moreHues.map((hue) => `oklch(${dark ? 0.76 : 0.52} ${dark ? 0.13 : 0.15} ${hue})`),
    ],
  };
}

/** A colour let through to what is behind it, in percent. */
export function mixed(color: string, percent: number): string {
  return `color-mix(in srgb, ${color} ${percent}%, transparent)`;
}

/** Calls the listener whenever the editor's theme changes. */
export function onThemeChange(listener: (theme: Theme) => void): void {
  let asked = false;
  // VS Code writes its variables into the style of <html> and then the kind into the classes of <body>.
  const observer = new MutationObserver(() => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      listener(readTheme());
    });
  });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style', 'class'] });
  observer.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-vscode-theme-id'] });
}

function kindOf(classes: DOMTokenList): Theme['kind'] {
  if (classes.contains('vscode-high-contrast-light')) return 'high-contrast-light';
  if (classes.contains('vscode-high-contrast')) return 'high-contrast';
  return classes.contains('vscode-light') ? 'light' : 'dark';
}

/** Whether movement should be left out: the system's wish, or VS Code's setting. */
export function prefersReducedMotion(): boolean {
  return (
    window.matchMedia('(prefers-reduced-motion: reduce)').matches ||
    document.body.classList.contains('vscode-reduce-motion')
  );
}
