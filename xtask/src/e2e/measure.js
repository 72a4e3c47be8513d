addEventListener('load', () => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) wrong.push(`overflow: ${root.scrollWidth} px wide`);
  const named = (selector, what) => document.querySelector(selector) || wrong.push(`no ${what}`);
  named('main', 'main');
  if (document.querySelectorAll('h1').length !== 1) wrong.push(`no h1, or several`);
  if (!document.title.trim()) wrong.push('no title');
  if (!root.lang) wrong.push('no lang');
  for (const link of document.querySelectorAll('a, button, input'))
    if (!(link.textContent.trim() || link.getAttribute('aria-label') || link.labels?.length)) wrong.push(`${link.tagName} without a name`);
  for (const part of document.querySelectorAll('nav, section'))
    if (!part.getAttribute('aria-label') && !document.getElementById(part.getAttribute('aria-labelledby'))) wrong.push(`${part.tagName} without a label`);

  // Relative luminance and contrast as in WCAG 2.2.
  const colours = text => [...text.matchAll(/rgba?\(([^)]*)\)/g)].map(match => match[1].split(/[ ,/]+/).map(Number));
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      const shades = colours(style.backgroundImage).filter(c => c[3] === undefined || c[3] > .9);
      const plain = colours(style.backgroundColor).filter(c => c[3] === undefined || c[3] > 0);
      if (shades.length || plain.length) return [...shades, ...plain];
    }
    return [matchMedia('(prefers-color-scheme: dark)').matches && getComputedStyle(root).colorScheme.includes('dark') ? [18, 18, 18] : [255, 255, 255]];
  };
  for (const element of document.body.querySelectorAll('*')) {
    const says = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    if (!says || !box.width || style.visibility === 'hidden' || ['SCRIPT', 'STYLE'].includes(element.tagName)) continue;
    const ink = colours(style.color)[0];
    const worst = ink ? Math.min(...behind(element).map(back => contrast(ink, back))) : 0;
    if (worst < 4.5) wrong.push(`contrast ${worst.toFixed(2)} of ${element.tagName}.${element.className}`);
  }
  parent.postMessage([...new Set(wrong)].slice(0, 20).join('|').replaceAll('"', "'"), '*');
});
