// Numbers and times as people read them. Pure: the present is an argument.

/** 12480 → "0:12.480", 3723000 → "1:02:03.000". */
export function timecode(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  const hours = Math.floor(whole / 3_600_000);
  const minutes = Math.floor(whole / 60_000) % 60;
  const seconds = ((whole % 60_000) / 1000).toFixed(3).padStart(6, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

/** Seconds, coarsely: "0.4 s", "12 s", "2 min 14 s", "3 h 05 min", "4 d". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${String(Math.floor(s / 60) % 60).padStart(2, "0")} min`;
  return `${Math.floor(s / 86_400)} d`;
}

/** How long before `nowMs` the RFC 3339 time `at` was. */
export function age(at: string, nowMs: number): string {
  const s = Math.max(0, Math.round((nowMs - Date.parse(at)) / 1000));
  if (s < 5) return "just now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86_400)} d ago`;
}

/** 1843750 → "1.8 MB" (powers of 1000, as disks and networks count). */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** 2950000 → "2.95 Mbit/s". */
export function bitrate(bps: number): string {
  return bps >= 999_500 ? `${(bps / 1e6).toFixed(2)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`;
}

/** "30000/1001" → 29.97…; NaN for nonsense. */
export function rate(fraction: string | null | undefined): number {
  const [numerator, denominator = "1"] = (fraction ?? "").split("/");
  return Number(numerator || NaN) / Number(denominator);
}

/** "30000/1001" → "29.97 fps"; empty for nonsense. */
export function fps(fraction: string | null | undefined): string {
  const value = rate(fraction);
  return Number.isFinite(value) ? `${Number(value.toFixed(2))} fps` : "";
}

/** "12.48" or "1:02.5" as milliseconds; null for nonsense or a negative time. */
export function parseTime(value: string | null): number | null {
  if (!value || !/^(?:\d+:){0,2}\d+(?:\.\d+)?$/.test(value)) return null;
  const seconds = value.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return Math.round(seconds * 1000);
}
