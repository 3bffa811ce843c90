import { DispatchRow } from './types';

const DAY = 86_400_000;

/** 7 -> "0:07", 190 -> "3:10", 3700 -> "1:01:40". */
export function elapsed(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

/** 0.0004 -> "<1 ms", 0.012 -> "12 ms", 0.84 -> "0.84 s", 31.2 -> "31 s", 190 -> "3:10". */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) {
    return '';
  }
  if (seconds < 0.001) {
    return '<1 ms';
  }
  if (seconds < 0.1) {
    return `${Math.round(seconds * 1000)} ms`;
  }
  if (seconds < 10) {
    return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  }
  return seconds < 60 ? `${Math.round(seconds)} s` : elapsed(seconds);
}

/** How long a dispatch took; while it runs, so far, by the second. */
export function lasted(row: DispatchRow, now: number): string {
  const began = row.started ?? row.created;
  return row.ended === null ? elapsed(now - began) : duration(row.ended - began);
}

/** Time of day, such as "10:41". */
export function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit'
  });
}

/** A moment, with as much of its day as is needed: "10:41", "10:41:07" with `seconds`, "Nov 24, 10:41", "11/24/2025, 10:41". */
export function moment(at: number, now: number, options: { seconds?: boolean } = {}): string {
  const date = new Date(at * 1000);
  const time: Intl.DateTimeFormatOptions = {
    hour: '2-digit',
    minute: '2-digit',
    ...(options.seconds ? { second: '2-digit' } : {})
  };
  if (daysAgo(at, now) === 0) {
    return date.toLocaleTimeString([], time);
  }
  const day: Intl.DateTimeFormatOptions =
    date.getFullYear() === new Date(now * 1000).getFullYear()
      ? { month: 'short', day: 'numeric' }
      : { year: 'numeric', month: 'short', day: 'numeric' };
  return date.toLocaleString([], { ...day, ...time });
}

export function dateAndTime(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString();
}

/** Whole days between the day of `seconds` and the day of `now` (0: today, 1: yesterday). */
export function daysAgo(seconds: number, now: number): number {
  const midnight = (s: number) => new Date(s * 1000).setHours(0, 0, 0, 0);
  return Math.round((midnight(now) - midnight(seconds)) / DAY);
}

/** The length, at least four, at which the ids on the page are still told apart. */
export function idLength(all: readonly string[]): number {
  const ids = [...all].sort();
  let length = 4;
  for (let i = 1; i < ids.length; i++) {
    if (ids[i] === ids[i - 1]) {
      continue;
    }
    let common = 0;
    while (common < ids[i].length && ids[i][common] === ids[i - 1][common]) {
      common++;
    }
    length = Math.max(length, common + 1);
  }
  return length;
}

/** "split (3): ValueError: bad" -> "ValueError in split: bad": in a narrow row the kind of error comes first. */
export function reason(error: string): string {
  const line = firstLine(error);
  const [, electron, kind, first] = /^(.+?) \(\d+\): ([\w.]+): ?(.*)$/.exec(line) ?? [];
  const next = firstLine(error.slice(error.indexOf(line) + line.length));
  const message = first || (/^.+? \(\d+\): [\w.]+:/.test(next) ? '' : next); // some messages begin with an empty line
  return kind ? `${kind} in ${electron}${message && ': '}${message}` : line;
}

export function firstLine(text: string): string {
  return text.split('\n').find(line => line.trim() !== '')?.trim() ?? '';
}

/** What people call a dispatch. */
export function nameOf(row: DispatchRow): string {
  return row.label || row.name || row.lattice;
}

/** The tags that people gave it. What a sweep is known by in searches is its id, which is shown beside them. */
export function shownTags(row: DispatchRow): string[] {
  return row.tags.filter(tag => !tag.startsWith('sweep:'));
}

/** 1234567 -> "1.2 MB". */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 9.95 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
