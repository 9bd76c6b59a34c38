// Line icons on a 24 × 24 grid. Decoration only: the word stands beside each of them.

import { html, svg, type TemplateResult } from "lit";

const PATHS = {
  play: svg`<path d="M7 4.5v15l12-7.5z" fill="currentColor"/>`,
  film: svg`<rect x="3" y="4" width="18" height="16" rx="2"/><path d="M8 4v16M16 4v16M3 9h5M3 15h5M16 9h5M16 15h5"/>`,
  check: svg`<path d="M4.5 12.5l5 5 10-11"/>`,
  cross: svg`<path d="M6 6l12 12M18 6L6 18"/>`,
  alert: svg`<path d="M12 3.5l9.5 17h-19zM12 10v4.5M12 17.2v.3"/>`,
  clock: svg`<circle cx="12" cy="12" r="8.5"/><path d="M12 7.5V12l3 2"/>`,
  stop: svg`<circle cx="12" cy="12" r="8.5"/><path d="M6.2 6.2l11.6 11.6"/>`,
  spin: svg`<path d="M12 3.5a8.5 8.5 0 1 1-8.5 8.5"/>`,
  retry: svg`<path d="M20 11a8 8 0 1 0-1.5 5.5M20 4.5V11h-6.5"/>`,
  trash: svg`<path d="M4 6.5h16M9.5 6V4h5v2M6.5 6.5l1 13.5h9l1-13.5M10.5 10.5v6M13.5 10.5v6"/>`,
  upload: svg`<path d="M12 15.5V4.5M7.5 9L12 4.5 16.5 9M4 15.5v4h16v-4"/>`,
  search: svg`<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.5L21 21"/>`,
  copy: svg`<rect x="8.5" y="8.5" width="12" height="12" rx="2"/><path d="M15.5 8.5v-5h-12v12h5"/>`,
  plus: svg`<path d="M12 5v14M5 12h14"/>`,
  sun: svg`<circle cx="12" cy="12" r="4"/><path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4"/>`,
  moon: svg`<path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z"/>`,
  auto: svg`<circle cx="12" cy="12" r="8.5"/><path d="M12 3.5v17a8.5 8.5 0 0 0 0-17z" fill="currentColor"/>`,
  back: svg`<path d="M14.5 5.5L8 12l6.5 6.5"/>`,
  link: svg`<path d="M10 14l4-4M8.5 11.5l-3 3a3.5 3.5 0 0 0 5 5l3-3M15.5 12.5l3-3a3.5 3.5 0 0 0-5-5l-3 3"/>`,
};

export type IconName = keyof typeof PATHS;

export function icon(name: IconName, kind = ""): TemplateResult {
  return html`<svg class="vc-icon ${kind}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${PATHS[name]}</svg>`;
}
