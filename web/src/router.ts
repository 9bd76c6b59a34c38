// Real URLs under /dashboard/: a page can be reloaded, shared and opened in a new tab.

import type { JobStatus } from "./types.ts";
import { STATUSES } from "./types.ts";

const BASE = "/dashboard";

export type Route =
  | { page: "jobs"; status: JobStatus | null; q: string }
  | { page: "job"; id: string; t: string | null; tab: string | null }
  | { page: "search"; q: string }
  | { page: "missing"; path: string };

export const paths = {
  jobs: (filter: { status?: JobStatus | null; q?: string } = {}): string => {
    const params = new URLSearchParams();
    if (filter.status) params.set("status", filter.status);
    if (filter.q) params.set("q", filter.q);
    return `${BASE}/jobs${params.size ? `?${params}` : ""}`;
  },
  job: (id: string, options: { t_ms?: number | null; tab?: string | null } = {}): string => {
    const params = new URLSearchParams();
    if (options.t_ms !== undefined && options.t_ms !== null) params.set("t", (options.t_ms / 1000).toFixed(3));
    if (options.tab) params.set("tab", options.tab);
    return `${BASE}/jobs/${encodeURIComponent(id)}${params.size ? `?${params}` : ""}`;
  },
  search: (q = ""): string => `${BASE}/search${q ? `?${new URLSearchParams({ q })}` : ""}`,
};

export function route(url: URL): Route {
  const parts = url.pathname.slice(BASE.length).split("/").filter(Boolean);
  const [page = "jobs", id] = parts;
  if (parts.length <= 1 && page === "jobs") {
    const status = url.searchParams.get("status") as JobStatus | null;
    return { page, status: status && STATUSES.includes(status) ? status : null, q: url.searchParams.get("q") ?? "" };
  }
  if (parts.length === 2 && page === "jobs" && id) {
    return { page: "job", id: decoded(id), t: url.searchParams.get("t"), tab: url.searchParams.get("tab") };
  }
  if (parts.length === 1 && page === "search") return { page, q: url.searchParams.get("q") ?? "" };
  return { page: "missing", path: url.pathname };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const CHANGED = "vc-navigated";

/** Go to a path of this page. `replace` keeps the history as it is: for what a person did not mean as a step. */
export function go(path: string, options: { replace?: boolean } = {}): void {
  if (path === location.pathname + location.search) return;
  if (options.replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  window.dispatchEvent(new Event(CHANGED));
}

/** Calls `changed` at every step, ours or the browser's, and turns plain clicks on our links into steps. */
export function watch(changed: () => void): void {
  window.addEventListener("popstate", changed);
  window.addEventListener(CHANGED, changed);
  document.addEventListener("click", (event) => {
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = event.composedPath().find((node): node is HTMLAnchorElement => node instanceof HTMLAnchorElement);
    if (!plain || event.defaultPrevented || !link || link.target || link.hasAttribute("download")) return;
    if (link.origin !== location.origin || !`${link.pathname}/`.startsWith(`${BASE}/`)) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
