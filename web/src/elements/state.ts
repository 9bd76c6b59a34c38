// States in words, always with an icon: colour alone tells a part of the readers nothing.

import { html, nothing, type TemplateResult } from "lit";
import type { Job, JobStatus, PartStatus, Phase } from "../types.ts";
import { icon, type IconName } from "./icons.ts";

const ICONS: Readonly<Record<JobStatus | PartStatus, IconName>> = {
  queued: "clock",
  pending: "clock",
  running: "spin",
  succeeded: "check",
  degraded: "alert",
  failed: "cross",
  canceled: "stop",
  skipped: "stop",
};

export const PHASES: readonly { phase: Phase; word: string }[] = [
  { phase: "downloading", word: "Fetch" },
  { phase: "probing", word: "Probe" },
  { phase: "transcoding", word: "Encode" },
  { phase: "describing", word: "Describe" },
  { phase: "packaging", word: "Package" },
  { phase: "verifying", word: "Verify" },
];

export function state(status: JobStatus | PartStatus, words: string = status): TemplateResult {
  return html`<span class="vc-state is-${status}">${icon(ICONS[status])}<span>${words}</span></span>`;
}

/** A job's state, with what it is doing at the moment. */
export function jobState(job: Job): TemplateResult {
  if (job.cancel_requested && job.status === "running") return state("running", "canceling");
  if (job.status === "queued" && job.next_attempt_at) return state("queued", "waiting to retry");
  return html`${state(job.status)}${
    job.status === "running" && job.phase ? html`<span class="vc-phase">${job.phase}</span>` : nothing
  }`;
}
